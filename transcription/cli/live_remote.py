"""Transcribes live audio on a server, over WS /live. docs/LIVE.md has the messages."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus

from formats.registry import ResponseFormat
from transcription.cli.checks import FLAGS, NUMBERS, TRUE
from transcription.cli.live_engine import Complete, Event, Heard, Problem, by_speaker
from transcription.cli.transcriber import RecordingFailed, ServerUnavailable

KEEPALIVE_SECONDS = 20.0  # the server disconnects a client that is silent for 60 s
CONNECT_SECONDS = 10.0
NO_CAPACITY = frozenset({429, 502, 503, 504})

Document = dict[str, Any]


class RemoteLive:
    """`LiveEngine` on a server. socket: of a session that has started."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket

    async def feed(self, audio: bytes) -> None:
        """Send audio. Raises RecordingFailed."""
        await self._send(audio)

    async def finish(self) -> None:
        """End the audio. Raises RecordingFailed."""
        await self._send(json.dumps({"type": "finish"}))

    async def events(self) -> AsyncIterator[Event]:
        """What happens. Raises RecordingFailed."""
        while (document := await _receive(self._socket))["type"] != "finished":
            if event := event_of(document):
                yield event

    async def results(self, formats: Sequence[ResponseFormat]) -> Mapping[ResponseFormat, str]:
        """The text of all complete utterances in each format. Raises RecordingFailed."""
        results: dict[ResponseFormat, str] = {}
        for each in formats:
            await self._send(json.dumps({"type": "transcript", "format": each.value}))
            while (document := await _receive(self._socket))["type"] != "transcript":
                if document["type"] == "error":
                    raise RecordingFailed(document["message"])
            results[each] = document["content"]
        return results

    async def keep_alive(self) -> None:
        """Tell the server that the client is there, until cancelled: standard input may pause."""
        while True:
            await asyncio.sleep(KEEPALIVE_SECONDS)
            await self._send(json.dumps({"type": "keepalive"}))

    async def _send(self, message: str | bytes) -> None:
        try:
            await self._socket.send(message)
        except ConnectionClosed as error:
            raise _lost(error) from None


@asynccontextmanager
async def opened(url: str, api_key: str, parameters: Mapping[str, str]) -> AsyncIterator[RemoteLive]:
    """A session on the server at `url`. Raises ServerUnavailable and RecordingFailed."""
    headers = {"X-API-Key": api_key} if api_key else {}
    try:
        # A transcript of hours is larger than the usual limit.
        socket = await connect(address_of(url), additional_headers=headers, open_timeout=CONNECT_SECONDS, max_size=None)
    except InvalidStatus as error:
        raise _refused(url, error.response.status_code, error.response.body) from None
    except (OSError, InvalidHandshake) as error:  # TimeoutError is an OSError
        raise ServerUnavailable(
            f"{url} cannot be reached: {error or type(error).__name__}. Is the service running?"
        ) from None
    async with socket:
        await socket.send(json.dumps(start_message(parameters)))
        answer = await _receive(socket)
        if answer["type"] == "error":
            failure = ServerUnavailable if "retry_after" in answer else RecordingFailed
            raise failure(answer["message"])
        engine = RemoteLive(socket)
        keeping = asyncio.create_task(engine.keep_alive())
        try:
            yield engine
        finally:
            keeping.cancel()
            await asyncio.gather(keeping, return_exceptions=True)


def address_of(url: str) -> str:
    """The address of the WebSocket. url: of the server, http or https."""
    return f"ws{url.removeprefix('http').rstrip('/')}/live"


def start_message(parameters: Mapping[str, str]) -> Document:
    """The message that starts a session. parameters: those of POST /transcribe that a live session has."""
    message: Document = {"type": "start", "words": parameters.get("timestamp_granularity") == "word"}
    for name, value in parameters.items():
        if name != "timestamp_granularity":
            message[name] = int(value) if name in NUMBERS else value.lower() in TRUE if name in FLAGS else value
    return message


def event_of(document: Document) -> Event | None:
    """What the command shows of an event; None for nothing."""
    kind = document["type"]
    if kind == "partial":
        return Heard(document["utterance"], document["confirmed"], document["tentative"])
    if kind == "final":
        pieces = [(piece.get("speaker", ""), piece["text"]) for piece in document.get("segments", ())]
        return Complete(document["utterance"], by_speaker(pieces) or document["text"])
    if kind == "error":
        return Problem(document["message"], document.get("utterance"))
    return None


async def _receive(socket: ClientConnection) -> Document:
    try:
        document: Document = json.loads(await socket.recv())
    except ConnectionClosed as error:
        raise _lost(error) from None
    return document


def _lost(error: ConnectionClosed) -> RecordingFailed:
    return RecordingFailed(f"the connection was lost: {error}")


def _refused(url: str, status: int, body: bytes) -> Exception:
    try:
        message = str(json.loads(body)["message"])
    except (ValueError, KeyError, TypeError):
        message = f"the server answered with status {status}. Is the address right?"
    return ServerUnavailable(f"{url}: {message}") if status in NO_CAPACITY else RecordingFailed(message)
