"""Clients of the four doors of live sessions that can also send what makes no sense. Audio is 16 kHz mono int16."""

from __future__ import annotations

import base64
import json
import socket
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from tests.support.service import LocalService
from transcription.core.audio import SAMPLE_RATE

PIECE_BYTES = 6400  # 0.2 s
TIMEOUT = 60.0  # seconds for one event, on a busy machine
FORM = {"rate": SAMPLE_RATE, "width": 2, "channels": 1}
TRANSCRIPTION = "conversation.item.input_audio_transcription"
Document = dict[str, Any]


class Closed(Exception):
    """The service has closed the connection."""


class Door(ABC):
    """A session. finals: the texts of its utterances. errors: messages of the errors that have arrived."""

    def __init__(self) -> None:
        self.finals: list[str] = []
        self.errors: list[str] = []

    @abstractmethod
    def send(self, frame: str | bytes) -> None:
        """Send a frame as it is; of Wyoming, bytes of its stream. Raises Closed."""

    @abstractmethod
    def audio(self, piece: bytes) -> str | bytes:
        """Audio as a frame."""

    @abstractmethod
    def message(self, kind: str, **fields: Any) -> str | bytes:
        """An event of the protocol as a frame."""

    @abstractmethod
    def end(self) -> None:
        """Ask for the last text."""

    @abstractmethod
    def read(self) -> bool:
        """Take the next event. Whether it is the one that follows `end`. Raises Closed."""

    @abstractmethod
    def vanish(self) -> None:
        """Break the connection, without a word."""

    def say(self, audio: bytes) -> None:
        """Send audio, as fast as it is taken."""
        for at in range(0, len(audio), PIECE_BYTES):
            self.send(self.audio(audio[at : at + PIECE_BYTES]))

    def error(self) -> str:
        """The message of the next error."""
        before = len(self.errors)
        while len(self.errors) == before:
            self.read()
        return self.errors[-1]

    def text(self) -> str:
        """End the audio. Returns all of the text."""
        self.end()
        while not self.read():
            pass
        return " ".join(filter(None, self.finals))


class _WebSocket(Door):
    """kinds: the types of the events so far."""

    def __init__(self, connection: ClientConnection) -> None:
        super().__init__()
        self.connection = connection
        self.kinds: list[str] = []

    def send(self, frame: str | bytes) -> None:
        try:
            self.connection.send(frame)
        except ConnectionClosed as end:
            raise Closed(str(end)) from None

    def message(self, kind: str, **fields: Any) -> str:
        return json.dumps({"type": kind, **fields})

    def vanish(self) -> None:
        self.connection.socket.shutdown(socket.SHUT_RDWR)

    def event(self) -> Document:
        try:
            event: Document = json.loads(self.connection.recv(TIMEOUT))
        except ConnectionClosed as end:
            raise Closed(str(end)) from None
        self.kinds.append(event["type"])
        return event


class Live(_WebSocket):
    """WS /live, with utterances that the client ends."""

    PATH = "/live"

    def __init__(self, connection: ClientConnection) -> None:
        super().__init__(connection)
        self.send(self.message("start", language="en", turn_detection=None))

    def audio(self, piece: bytes) -> bytes:
        return piece

    def end(self) -> None:
        self.send(self.message("finish"))

    def read(self) -> bool:
        event = self.event()
        if event["type"] == "error":
            assert event["error"]
            self.errors.append(event["message"])
        elif event["type"] == "final":
            self.finals.append(event["text"])
        return bool(event["type"] == "finished")


class Realtime(_WebSocket):
    """OpenAI's protocol, with turns that the client ends."""

    PATH = "/v1/realtime?intent=transcription"

    def __init__(self, connection: ClientConnection) -> None:
        super().__init__(connection)
        self.update(format={"type": "audio/pcm", "rate": SAMPLE_RATE}, turn_detection=None)

    def update(self, **audio_input: Any) -> None:
        """Change the session."""
        self.send(self.message("session.update", session={"type": "transcription", "audio": {"input": audio_input}}))

    def audio(self, piece: bytes) -> str:
        return self.message("input_audio_buffer.append", audio=base64.b64encode(piece).decode())

    def end(self) -> None:
        self.send(self.message("input_audio_buffer.commit"))

    def read(self) -> bool:
        event = self.event()
        if event["type"] == "error":
            assert event["error"]["type"].endswith("_error")
            self.errors.append(event["error"]["message"])
        elif event["type"] == f"{TRANSCRIPTION}.completed":
            self.finals.append(event["transcript"])
        return bool(event["type"] == f"{TRANSCRIPTION}.completed")


class Listen(_WebSocket):
    """Deepgram's protocol."""

    PATH = f"/v1/listen?encoding=linear16&sample_rate={SAMPLE_RATE}&language=en"

    def audio(self, piece: bytes) -> bytes:
        return piece

    def end(self) -> None:
        self.send(self.message("CloseStream"))

    def read(self) -> bool:
        event = self.event()
        if event["type"] == "Error":
            assert event["variant"]
            self.errors.append(event["description"])
        elif event["type"] == "Results" and event["is_final"]:
            self.finals.append(event["channel"]["alternatives"][0]["transcript"])
        return bool(event["type"] == "Metadata")


class Wyoming(Door):
    """Home Assistant's protocol, over TCP."""

    def __init__(self, port: int) -> None:
        super().__init__()
        self.socket = socket.create_connection(("127.0.0.1", port), TIMEOUT)
        self._stream = self.socket.makefile("rb")
        self.send(self.message("transcribe", language="en") + self.message("audio-start", **FORM))

    def send(self, frame: str | bytes) -> None:
        self.socket.sendall(frame.encode() if isinstance(frame, str) else frame)

    def audio(self, piece: bytes) -> bytes:
        return wyoming_chunk(json.dumps(FORM), piece)

    def message(self, kind: str, **fields: Any) -> bytes:
        return f"{json.dumps({'type': kind, 'data': fields})}\n".encode()

    def end(self) -> None:
        self.send(self.message("audio-stop"))

    def read(self) -> bool:
        line = self._stream.readline()
        if not line:
            raise Closed
        header = json.loads(line)
        data = json.loads(self._stream.read(header.get("data_length", 0)) or "{}")
        if header["type"] == "error":
            assert data["code"]
            self.errors.append(data["text"])
        elif header["type"] == "transcript":
            self.finals.append(data["text"])
        return bool(header["type"] == "transcript-stop")

    def vanish(self) -> None:
        self._stream.close()
        self.socket.close()


def wyoming_chunk(data: str = "{}", payload: bytes = b"") -> bytes:
    """An event audio-chunk. data: of the event, JSON or not. payload: audio."""
    head = {"type": "audio-chunk", "data_length": len(data), "payload_length": len(payload)}
    return f"{json.dumps(head)}\n{data}".encode() + payload


WEBSOCKETS: Mapping[str, type[_WebSocket]] = {"live": Live, "realtime": Realtime, "listen": Listen}
DOORS = (*WEBSOCKETS, "wyoming")


@contextmanager
def opened(
    door: str, service: LocalService, wyoming_port: int, headers: Mapping[str, str] | None = None
) -> Iterator[Door]:
    """A session that has been asked for. door: one of DOORS. Raises InvalidStatus if it is refused over HTTP."""
    if door == "wyoming":
        client = Wyoming(wyoming_port)
        try:
            yield client
        finally:
            client.vanish()
        return
    kind = WEBSOCKETS[door]
    address = service.url.replace("http", "ws", 1) + kind.PATH
    # Without a limit on what waits to be read: a test may send much before it reads.
    with connect(address, additional_headers=headers, max_queue=None, close_timeout=1) as connection:
        yield kind(connection)
