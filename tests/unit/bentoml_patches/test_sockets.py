"""WebSockets between a server of uvicorn's and a client, over a connection without a network."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import uvicorn
from uvicorn.server import ServerState
from wsproto import ConnectionType, WSConnection
from wsproto.events import AcceptConnection, BytesMessage, CloseConnection, Ping, Pong, Request, TextMessage

from benchmarks.simulated import SimulatedLoop
from transcription.api.client_socket import MOST_FRAME_BYTES
from transcription.bentoml_patches.sockets import LARGEST_MESSAGE, Socket

Application = Callable[[Any, Any, Any], Awaitable[None]]
MASK = bytes(4)
EMPTY_PING = b"\x89\x80" + MASK
WRONG_TEXT = b"\x81\x81" + MASK + b"\xff"


class Wire(asyncio.Transport):
    """What a server writes, and whether it reads. full: the client takes nothing, so that a close does not end."""

    def __init__(self, *, full: bool = False) -> None:
        super().__init__()
        self.written = bytearray()
        self.reading = True
        self.lost = False
        self._full = full
        self._closing = False
        self.protocol: Socket

    def write(self, data: Any) -> None:
        self.written += data

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True

    def is_closing(self) -> bool:
        return self._closing

    def close(self) -> None:
        self._closing = True
        if not self._full:
            self.abort()

    def abort(self) -> None:
        self._closing = True
        if not self.lost:
            self.lost = True
            asyncio.get_running_loop().call_soon(self.protocol.connection_lost, None)


class Client:
    """The other end."""

    def __init__(self, app: Application, *, reads: bool = True) -> None:
        self.wire = Wire(full=not reads)
        self._connection = WSConnection(ConnectionType.CLIENT)
        self._read = 0
        self.server = Socket(uvicorn.Config(app, lifespan="off"), ServerState(), {})
        self.wire.protocol = self.server
        self.server.connection_made(self.wire)
        self.send(Request(host="localhost", target="/"))

    def send(self, *events: Any, more: bytes = b"") -> None:
        """In one packet. more: at its end."""
        self.server.data_received(b"".join(self._connection.send(event) for event in events) + more)

    def received(self) -> list[Any]:
        """What has come since the last call."""
        data, self._read = bytes(self.wire.written[self._read :]), len(self.wire.written)
        self._connection.receive_data(data)
        return [event for event in self._connection.events() if not isinstance(event, AcceptConnection)]


async def connect(app: Application, *, reads: bool = True) -> Client:
    """A client after the handshake."""
    client = Client(app, reads=reads)
    await asyncio.sleep(1)
    client.received()
    return client


async def echo(scope: Any, receive: Any, send: Any) -> None:
    """Send back how long each message is."""
    await receive()
    await send({"type": "websocket.accept"})
    while (message := await receive())["type"] == "websocket.receive":
        data = message.get("text") if message.get("bytes") is None else message["bytes"]
        await send({"type": "websocket.send", "text": str(len(data))})


async def busy(scope: Any, receive: Any, send: Any) -> None:
    """Take no message for ten minutes."""
    await receive()
    await send({"type": "websocket.accept"})
    await asyncio.sleep(600)


def talk(conversation: Callable[[], Awaitable[None]]) -> None:
    with asyncio.Runner(loop_factory=SimulatedLoop) as runner:
        runner.run(conversation())  # type: ignore[arg-type]


@pytest.mark.parametrize("size", [LARGEST_MESSAGE, LARGEST_MESSAGE + 1, 3_000_000])
@pytest.mark.parametrize("kind", [TextMessage, BytesMessage])
def test_of_a_message_that_is_too_large_the_application_sees_that_it_is_and_the_connection_goes_on(
    kind: Any, size: int
) -> None:
    async def conversation() -> None:
        client = await connect(echo)
        client.send(kind(data="a" * size if kind is TextMessage else bytes(size)), TextMessage(data="still there"))
        await asyncio.sleep(1)
        assert [each.data for each in client.received()] == [str(min(size, LARGEST_MESSAGE + 1)), "11"]

    talk(conversation)


def test_a_text_that_is_not_ascii_is_counted_in_characters_as_the_application_does() -> None:
    async def conversation() -> None:
        client = await connect(echo)
        for more in (400_000, 500_000):
            start = TextMessage(data="ä" * 600_000, message_finished=False)
            client.send(start, TextMessage(data="a" * more))
            await asyncio.sleep(1)
        assert [each.data for each in client.received()] == ["1000000", str(LARGEST_MESSAGE + 1)]

    talk(conversation)


def test_what_a_live_session_accepts_fits_into_a_message() -> None:
    assert MOST_FRAME_BYTES <= LARGEST_MESSAGE


def test_a_client_that_waits_because_the_service_does_not_read_is_not_given_up() -> None:
    async def conversation() -> None:
        client = await connect(busy)
        client.send(BytesMessage(data=bytes(100)))
        assert not client.wire.reading
        await asyncio.sleep(300)
        assert not client.wire.lost

    talk(conversation)


def test_a_client_that_does_not_answer_a_ping_although_it_is_read_is_given_up() -> None:
    async def conversation() -> None:
        client = await connect(echo)
        await asyncio.sleep(100)
        assert client.wire.lost
        assert isinstance(client.received()[-1], CloseConnection)

    talk(conversation)


def test_a_client_that_answers_pings_is_not() -> None:
    async def conversation() -> None:
        client = await connect(echo)
        for _ in range(300):
            await asyncio.sleep(1)
            client.send(*(each.response() for each in client.received() if isinstance(each, Ping)), Pong())
        assert not client.wire.lost

    talk(conversation)


def test_after_the_application_a_client_that_does_not_read_is_not_waited_for() -> None:
    async def ends(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.close"})

    async def conversation() -> None:
        client = await connect(ends, reads=False)
        await asyncio.sleep(60)
        assert client.wire.lost

    talk(conversation)


def test_a_ping_after_the_close_is_not_answered() -> None:
    async def conversation() -> None:
        client = await connect(echo)
        client.send(CloseConnection(code=1000), more=EMPTY_PING)
        await asyncio.sleep(1)
        assert client.wire.lost

    talk(conversation)


def test_text_that_is_no_utf8_closes_the_connection_with_the_reason() -> None:
    async def conversation() -> None:
        client = await connect(echo)
        client.send(more=WRONG_TEXT)
        await asyncio.sleep(1)
        [close] = client.received()
        assert isinstance(close, CloseConnection)
        assert close.code == 1007

    talk(conversation)
