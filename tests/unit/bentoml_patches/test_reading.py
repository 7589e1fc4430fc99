"""What a server holds of request bodies that the application does not take yet."""

from __future__ import annotations

import asyncio
from contextlib import closing, suppress
from typing import Any

import pytest
from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT

from tests.unit.bentoml_patches.test_bounded_writes import run, running, until
from transcription.bentoml_patches.bounded_connections import LEAST_READ, MOST_READ, read_size

SENT = 1 << 20  # bytes, more than one read


async def take_nothing(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """An application that is busy with others."""
    if scope["type"] == "http":
        await asyncio.Event().wait()


@pytest.mark.parametrize(("connections", "most"), [(128, MOST_READ), (129, 65_027), (500, 16_777), (9999, LEAST_READ)])
def test_many_connections_read_little_at_once(connections: int, most: int) -> None:
    assert read_size(connections) == most


def test_a_body_that_is_not_taken_is_not_held_in_memory() -> None:
    async def scenario() -> None:
        loop = asyncio.get_running_loop()
        async with running(take_nothing, many=0, read_in_all=LEAST_READ) as server:
            with closing(server.connect()) as plain:
                await loop.sock_connect(plain, ("127.0.0.1", server.port))
                head = f"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: {SENT}\r\n\r\n".encode()
                sending = asyncio.create_task(loop.sock_sendall(plain, head + bytes(SENT)))
                await until(lambda: server.connections and server.connections[0].flow.read_paused)
                assert len(server.connections[0].cycle.body) <= HIGH_WATER_LIMIT + LEAST_READ
                sending.cancel()
                with suppress(asyncio.CancelledError):
                    await sending

    run(scenario)
