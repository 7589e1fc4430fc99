"""A command to Redis that is cancelled ends, whenever that happens."""

from __future__ import annotations

import asyncio

import pytest
from redis.asyncio import Connection

from transcription.core import kept_cancellations

STEPS = 8  # of the event loop, more than sending a command takes


class Writer:
    """Takes everything at once."""

    def writelines(self, lines: object) -> None:
        pass

    async def drain(self) -> None:
        pass

    def close(self) -> None:
        pass


async def sent(steps: int) -> asyncio.Task[None]:
    """A command whose task is cancelled after some steps of the event loop, as it ended."""
    connection = Connection(socket_timeout=5.0)
    connection._reader, connection._writer = object(), Writer()
    sending = asyncio.create_task(connection.send_packed_command(b"PING", check_health=False))
    for _ in range(steps):
        await asyncio.sleep(0)
    if sending.cancel():
        await asyncio.wait((sending,))
        assert sending.cancelled(), steps
    return sending


@pytest.mark.parametrize("steps", range(STEPS))
def test_a_command_that_is_cancelled_while_it_is_sent_is_cancelled(steps: int) -> None:
    kept_cancellations.install()
    asyncio.run(sent(steps))


def test_a_command_that_is_not_cancelled_is_sent() -> None:
    kept_cancellations.install()
    assert asyncio.run(sent(STEPS)).exception() is None


def test_a_server_that_takes_nothing_is_given_up() -> None:
    async def scenario() -> None:
        connection = Connection(socket_timeout=0.01)
        connection._reader, connection._writer = object(), Writer()
        connection._writer.drain = asyncio.Event().wait  # type: ignore[method-assign]
        await connection.send_packed_command(b"PING", check_health=False)

    kept_cancellations.install()
    with pytest.raises(Exception, match="Timeout writing to socket"):
        asyncio.run(scenario())
