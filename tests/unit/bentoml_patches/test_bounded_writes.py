"""Responses at a real uvicorn server: their size in memory, clients that do not read, and too many connections."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, closing
from typing import Any

import pytest
import uvicorn

from transcription.bentoml_patches import bounded_connections
from transcription.bentoml_patches.bounded_connections import CROWDED, REFUSED_AT_ONCE, BoundedProtocol
from transcription.bentoml_patches.bounded_writes import HIGH_WATER, PIECE, Turns, bytes_waiting

BODY = bytes(range(256)) * 8_000  # 2 MB, more than the kernel takes for a client that does not read
WINDOW, SMALL_WINDOW = 262_144, 4096  # bytes of receive buffer
SHORT = 0.2  # seconds
App = Callable[..., Awaitable[None]]


async def send_body(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """Answers with BODY in one message, as most frameworks do."""
    if scope["type"] != "http":
        return
    length = str(len(BODY)).encode()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", length)]})
    await send({"type": "http.response.body", "body": BODY})


class Running:
    """A server in this event loop. connections: its protocols."""

    def __init__(self, server: uvicorn.Server) -> None:
        self._server = server
        self.port = int(server.servers[0].sockets[0].getsockname()[1])

    @property
    def connections(self) -> list[Any]:
        return list(self._server.server_state.connections)

    def connect(self, window: int = WINDOW) -> socket.socket:
        plain = socket.socket()
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, window)
        plain.setblocking(False)
        return plain


@asynccontextmanager
async def running(app: App, **limits: Any) -> AsyncIterator[Running]:
    protocol = type("Protocol", (BoundedProtocol,), {"turns": Turns(), **limits})
    config = uvicorn.Config(app, port=0, http=protocol, lifespan="off", log_level="critical", loop="asyncio")
    server = uvicorn.Server(config)
    config.load()
    server.lifespan = config.lifespan_class(config)
    await server.startup()
    try:
        yield Running(server)
    finally:
        server.force_exit = True
        await server.shutdown()


async def ask(server: Running, plain: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    await loop.sock_connect(plain, ("127.0.0.1", server.port))
    await loop.sock_sendall(plain, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")


async def read_all(plain: socket.socket, pause: float = 0.0, size: int = 1 << 20) -> bytes:
    content = b""
    while data := await asyncio.get_running_loop().sock_recv(plain, size):
        content += data
        await asyncio.sleep(pause)
        if content.endswith(BODY[-256:]) and len(content) > len(BODY):
            break
    return content


async def until(condition: Callable[[], Any]) -> None:
    while not condition():
        await asyncio.sleep(0.01)


def run(scenario: Callable[[], Awaitable[None]]) -> None:
    async def limited() -> None:
        async with asyncio.timeout(60):
            await scenario()

    asyncio.run(limited())


def test_a_response_arrives_whole_in_pieces() -> None:
    async def scenario() -> None:
        async with running(send_body) as server:
            with closing(server.connect()) as plain:
                await ask(server, plain)
                content = await read_all(plain)
        assert content.partition(b"\r\n\r\n")[2] == BODY

    run(scenario)


def test_a_client_that_reads_nothing_is_disconnected_and_holds_little_memory_until_then() -> None:
    async def scenario() -> None:
        async with running(send_body, write_timeout=SHORT) as server:
            with closing(server.connect(SMALL_WINDOW)) as plain:
                await ask(server, plain)
                await until(lambda: server.connections and server.connections[0].flow.write_paused)
                assert server.connections[0].transport.get_write_buffer_size() <= PIECE + HIGH_WATER
                await until(lambda: not server.connections)

    run(scenario)


def test_a_client_that_reads_nothing_of_a_response_that_was_sent_is_disconnected() -> None:
    """The application is done and the server is about to close the connection; the data waits in the transport."""

    async def send_and_close(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"connection", b"close")]})
        while not server_side(scope).get_write_buffer_size():  # less than makes the application wait
            await send({"type": "http.response.body", "body": bytes(HIGH_WATER // 4), "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    servers: list[Running] = []

    def server_side(_: Any) -> Any:
        return servers[0].connections[0].transport

    async def scenario() -> None:
        async with running(send_and_close, write_timeout=SHORT) as server:
            servers.append(server)
            with closing(server.connect(SMALL_WINDOW)) as plain:
                await ask(server, plain)
                await until(lambda: server.connections and server.connections[0].transport.is_closing())
                await until(lambda: not server.connections)

    run(scenario)


def test_a_client_that_reads_slowly_is_served_for_longer_than_the_limit() -> None:
    async def scenario() -> None:
        async with running(send_body, write_timeout=SHORT * 5) as server:
            with closing(server.connect()) as plain:
                began = asyncio.get_running_loop().time()
                await ask(server, plain)
                content = await read_all(plain, pause=0.03, size=1 << 15)
                assert asyncio.get_running_loop().time() - began > SHORT * 5
        assert content.partition(b"\r\n\r\n")[2] == BODY

    run(scenario)


def test_a_silent_stream_whose_client_has_taken_everything_is_not_ended() -> None:
    ended = asyncio.Event()

    async def stream(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"event", "more_body": True})
        await ended.wait()
        await send({"type": "http.response.body", "body": b"the end"})

    async def scenario() -> None:
        async with running(stream, write_timeout=SHORT) as server:
            with closing(server.connect()) as plain:
                await ask(server, plain)
                await asyncio.sleep(SHORT * 3)
                assert not bytes_waiting(server.connections[0].transport)
                ended.set()
                content = b""
                while b"the end" not in content:
                    content += await asyncio.get_running_loop().sock_recv(plain, 1000)

    run(scenario)


def test_connections_beyond_the_limit_are_marked_and_far_beyond_it_closed() -> None:
    async def tell(scope: Any, receive: Any, send: Any) -> None:
        body = b"crowded" if scope["state"].get(CROWDED) else b"welcome"
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"7")]})
        await send({"type": "http.response.body", "body": body})

    async def scenario() -> None:
        loop = asyncio.get_running_loop()
        async with running(tell, max_connections=1) as server:
            plain = [server.connect() for _ in range(REFUSED_AT_ONCE + 2)]
            try:
                answers = []
                for each in plain:
                    try:
                        await ask(server, each)
                        answers.append((await loop.sock_recv(each, 1000))[-7:])
                    except ConnectionError:
                        answers.append(b"")
                assert answers == [b"welcome"] + [b"crowded"] * REFUSED_AT_ONCE + [b""]
            finally:
                for each in plain:
                    each.close()

    run(scenario)


def test_turns_are_given_in_order_and_a_few_in_each_round() -> None:
    async def scenario() -> None:
        turns, taken, rounds = Turns(2), [], 0

        async def take(number: int) -> None:
            await turns.take()
            taken.append((number, rounds))

        asking = [asyncio.create_task(take(number)) for number in range(7)]
        asking[4].cancel()
        while len(taken) < 6:
            await asyncio.sleep(0)
            rounds += 1
        assert [number for number, _ in taken] == [0, 1, 2, 3, 5, 6]
        in_rounds = [round_ for _, round_ in taken]
        assert max(in_rounds.count(each) for each in in_rounds) <= 2

    run(scenario)


def test_the_limits_are_those_that_were_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(BoundedProtocol, "write_timeout", 30.0)
    monkeypatch.setattr(BoundedProtocol, "max_connections", 1)
    bounded_connections.install(7.0, 99)
    assert (BoundedProtocol.write_timeout, BoundedProtocol.max_connections) == (7.0, 99)


def test_nothing_is_timed_once_the_client_has_gone() -> None:
    async def send_in_parts(scope: dict[str, Any], receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for more in (True, False):  # the second is sent after the client has gone
            await send({"type": "http.response.body", "body": BODY, "more_body": more})
        ended.set()

    ended = asyncio.Event()

    async def scenario() -> None:
        async with running(send_in_parts) as server:
            with closing(server.connect(SMALL_WINDOW)) as plain:
                await ask(server, plain)
                await until(lambda: server.connections and bytes_waiting(server.connections[0].transport))
                [connection] = server.connections
            await ended.wait()
            assert connection._writes._timer is None

    run(scenario)
