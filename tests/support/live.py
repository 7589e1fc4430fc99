"""A client of WS /live for tests."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from faster_whisper.audio import decode_audio
from httpx_ws import WebSocketSession, connect_ws

from transcription.core.audio import SAMPLE_RATE

FRAME_BYTES = 6400  # 0.2 s
TIMEOUT = 60.0  # seconds for one event, on a busy machine
Event = dict[str, Any]


class LiveClient:
    """One connection. session: the first event, once `start` was called."""

    def __init__(self, socket: WebSocketSession) -> None:
        self.socket = socket
        self.session: Event = {}
        self.events: list[Event] = []

    def start(self, **options: Any) -> Event:
        """Start a session, and return the answer."""
        self.send(type="start", **options)
        self.session = self.next()
        return self.session

    def send(self, **message: Any) -> None:
        """Send a message."""
        self.socket.send_text(json.dumps(message))

    def speak(self, audio: bytes) -> None:
        """Send audio, as fast as it is taken."""
        for start in range(0, len(audio), FRAME_BYTES):
            self.socket.send_bytes(audio[start : start + FRAME_BYTES])

    def next(self) -> Event:
        """The next event."""
        event: Event = json.loads(self.socket.receive_text(timeout=TIMEOUT))
        self.events.append(event)
        return event

    def until(self, kind: str) -> Event:
        """The next event of a type; those before it are in `events`."""
        while (event := self.next())["type"] != kind:
            pass
        return event

    def finish(self) -> list[Event]:
        """End the audio. Returns the final events of the whole session."""
        self.send(type="finish")
        self.until("finished")
        return self.of("final")

    def of(self, kind: str) -> list[Event]:
        """The events of a type so far."""
        return [event for event in self.events if event["type"] == kind]


@contextmanager
def live_client(
    client: httpx.Client, headers: dict[str, str] | None = None, subprotocols: Sequence[str] | None = None
) -> Iterator[LiveClient]:
    """Connect to /live. client: with the address of the service. Raises httpx_ws.WebSocketUpgradeError if refused."""
    with connect_ws(
        str(client.base_url.copy_with(path="/live")),
        client,
        headers=headers or {},
        subprotocols=list(subprotocols) if subprotocols else None,
        keepalive_ping_interval_seconds=None,
    ) as socket:
        yield LiveClient(socket)


def pcm_of(path: Path, rate: int = SAMPLE_RATE, silence: float = 1.0) -> bytes:
    """A recording as PCM, with so many seconds of silence after it."""
    samples = (decode_audio(str(path), rate) * 32767).astype("<i2")
    return bytes(np.concatenate((samples, np.zeros(int(silence * rate), "<i2"))).tobytes())
