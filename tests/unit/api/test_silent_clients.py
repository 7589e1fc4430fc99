"""Clients of live sessions that say nothing, or do not read, at the doors of other vendors, in simulated time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, cast

import pytest
from starlette.websockets import WebSocket

from benchmarks.simulated import SimulatedLoop
from tests.support.quiet_client import QuietClient
from transcription.api import client_socket
from transcription.api.client_socket import NORMAL, ClientSocket
from transcription.api.deepgram.parameters import parse_query
from transcription.api.deepgram.routes import ListenConnection
from transcription.api.realtime import connection
from transcription.api.realtime.connection import RealtimeConnection
from transcription.api.realtime.session_config import SessionConfig
from transcription.api.wyoming import server
from transcription.api.wyoming.framing import Event, encode
from transcription.api.wyoming.server import WyomingConnection
from transcription.core.settings import Settings
from transcription.live.allowance import LiveClient
from transcription.live.session import LiveSession
from transcription.live.sessions import LiveSessions

SETTINGS = Settings(whisper_model="demo")
WRITE_SECONDS = 5.0
CONFIG = SessionConfig.of_model("demo")
LISTEN = parse_query([("encoding", "linear16"), ("sample_rate", "16000")], SETTINGS)


async def realtime(socket: Callable[[float], ClientSocket], live: LiveSession) -> None:
    await RealtimeConnection(socket(connection.IDLE_SECONDS), live, CONFIG, SETTINGS, is_beta=False).serve()


async def listen(socket: Callable[[float], ClientSocket], live: LiveSession) -> None:
    await ListenConnection(socket(client_socket.IDLE_SECONDS), live, LISTEN, "request").serve()


DOORS = [(realtime, connection.IDLE_SECONDS), (listen, client_socket.IDLE_SECONDS)]
Serve = Callable[[Callable[[float], ClientSocket], LiveSession], Awaitable[None]]


def seconds_until_over(serve: Serve, client: QuietClient) -> float:
    """Serve the client until the connection ends."""

    async def run() -> float:
        loop = asyncio.get_running_loop()
        websocket = WebSocket({"type": "websocket", "headers": []}, cast(Any, client.receive), client.send)
        await websocket.accept()
        live = await LiveSessions(cast(Any, None), SETTINGS, loop.time).open(LISTEN.live, LiveClient(), "request")
        await serve(lambda idle: ClientSocket(websocket, WRITE_SECONDS, idle), live)
        ended = loop.time()
        await live.aclose()
        return ended

    with asyncio.Runner(loop_factory=SimulatedLoop) as runner:
        return runner.run(run())


@pytest.mark.parametrize(("serve", "idle"), DOORS)
def test_a_client_that_says_nothing_is_disconnected(serve: Serve, idle: float) -> None:
    client = QuietClient()
    assert seconds_until_over(serve, client) == idle
    assert client.close_code() == NORMAL


@pytest.mark.parametrize(("serve", "idle"), DOORS)
def test_a_client_that_does_not_read_is_disconnected(serve: Serve, idle: float) -> None:
    wrong = {"text": "no JSON"}
    assert seconds_until_over(serve, QuietClient(wrong, reads=False)) <= idle + 2 * WRITE_SECONDS


class Writer:
    """A TCP connection's other direction. reads: whether the client takes what it is sent."""

    def __init__(self, *, reads: bool = True) -> None:
        self.written = b""
        self.closed = False
        self._reads = reads

    def get_extra_info(self, name: str) -> None:
        return None  # the client is gone, and has no address

    def write(self, data: bytes) -> None:
        self.written += data

    async def drain(self) -> None:
        if not self._reads:
            await asyncio.Event().wait()

    def close(self) -> None:
        self.closed = True

    async def wait_closed(self) -> None:
        pass

    @property
    def transport(self) -> Writer:
        return self

    def abort(self) -> None:
        self.closed = True


def wyoming_seconds(writer: Writer, *events: Event) -> float:
    """Serve a client that sends some events and then nothing, until the connection ends."""

    async def run() -> float:
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader()
        reader.feed_data(b"".join(map(encode, events)))
        sessions = LiveSessions(cast(Any, None), SETTINGS, loop.time)
        serving = WyomingConnection(reader, cast(Any, writer), SETTINGS, sessions)
        with pytest.raises(TimeoutError):
            await serving.serve()
        ended = loop.time()
        await serving.aclose()
        assert len(sessions) == 0
        return ended

    with asyncio.Runner(loop_factory=SimulatedLoop) as runner:
        return runner.run(run())


START = Event("audio-start", {"rate": 16_000, "width": 2, "channels": 1})


@pytest.mark.parametrize("events", [(), (START,)])
def test_a_wyoming_client_that_says_nothing_is_disconnected(events: tuple[Event, ...]) -> None:
    writer = Writer()
    assert wyoming_seconds(writer, *events) == server.IDLE_SECONDS
    assert writer.closed


def test_a_wyoming_client_that_does_not_read_is_disconnected() -> None:
    assert wyoming_seconds(Writer(reads=False), Event("ping"), START) == SETTINGS.download_timeout
