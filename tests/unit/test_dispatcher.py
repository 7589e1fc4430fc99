"""Jobs reach Celery's queue once, in the right order, whatever breaks between the store and the broker."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import redis
from hypothesis import given
from hypothesis import strategies as st

from errors import ServiceUnavailable
from jobs.broker import FIRST, LATER, PATIENCE_SECONDS, SHORT_SECONDS, TASK, Broker, priority_of, queue_key
from jobs.dispatcher import SENT_AT_ONCE, Dispatcher
from jobs.redis_store import RedisStore
from settings import Settings
from tests.redis_server import RedisServer, redis_server
from tests.unit.store_contract import Clock, new_job

LONG = SHORT_SECONDS + 1


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with redis_server(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture
def server(running: RedisServer) -> RedisServer:
    with redis.Redis(port=running.port) as client:
        client.flushall()
    return running


class World:
    """A store, a broker, and a dispatcher between them, on one Redis."""

    def __init__(self, server: RedisServer, clock: Clock | None) -> None:
        self._port = server.port
        self.store = RedisStore(server.url, result_ttl=1000, clock=clock)
        self.broker = Broker(Settings(job_backend="celery", redis_url=server.url))
        self.dispatcher = Dispatcher(self.store, self.broker)

    async def submit(self, job_id: str, seconds: float | None) -> None:
        await self.store.submit(new_job(job_id))
        await self.store.examined(job_id, seconds)

    def queued(self, priority: int) -> list[str]:
        """Ids in the order in which workers get them."""
        with redis.Redis(port=self._port) as client:
            messages = [json.loads(message) for message in client.lrange(queue_key(priority), 0, -1)]
        assert {message["headers"]["task"] for message in messages} <= {TASK}
        return [json.loads(message["headers"]["argsrepr"].replace("'", '"').strip("(),")) for message in messages][::-1]


def play(
    server: RedisServer, scene: Callable[[World], Coroutine[None, None, None]], clock: Clock | None = None
) -> None:
    """Run a scene in a world of its own."""

    @asynccontextmanager
    async def world() -> AsyncIterator[World]:
        built = World(server, clock)
        try:
            yield built
        finally:
            await built.store.close()
            await built.broker.close()

    async def scenario() -> None:
        async with world() as built:
            await scene(built)

    asyncio.run(scenario())


@given(st.none() | st.floats(0, 1e6), st.floats(0, PATIENCE_SECONDS - 1))
def test_short_recordings_go_before_the_others(seconds: float | None, waiting: float) -> None:
    is_short = seconds is not None and seconds <= SHORT_SECONDS
    assert priority_of(seconds, waiting) == (FIRST if is_short else LATER)


@given(st.none() | st.floats(0, 1e6), st.floats(PATIENCE_SECONDS, 1e9))
def test_whatever_waits_long_goes_before_the_others(seconds: float | None, waiting: float) -> None:
    assert priority_of(seconds, waiting) == FIRST


def test_jobs_are_sent_in_their_order_by_priority(server: RedisServer) -> None:
    async def scene(world: World) -> None:
        for job_id, seconds in (("a", LONG), ("b", 5.0), ("c", None), ("d", 10.0)):
            await world.submit(job_id, seconds)
        assert await world.dispatcher.send_due() == 4
        assert (world.queued(FIRST), world.queued(LATER)) == (["b", "d"], ["a", "c"])

    play(server, scene)


def test_nothing_is_sent_twice_by_many_who_send(server: RedisServer) -> None:
    async def scene(world: World) -> None:
        for number in range(20):
            await world.submit(str(number), 5.0)
        dispatchers = [Dispatcher(world.store, world.broker) for _ in range(4)]
        assert sum(await asyncio.gather(*(each.send_due() for each in dispatchers))) == 20
        assert sorted(world.queued(FIRST)) == sorted(map(str, range(20)))

    play(server, scene)


def test_a_long_wait_brings_a_long_recording_to_the_front(server: RedisServer) -> None:
    clock = Clock()

    async def scene(world: World) -> None:
        await world.submit("long", LONG)
        await world.dispatcher.send_due()
        clock.move(PATIENCE_SECONDS)
        await world.dispatcher.send_due()
        assert (world.queued(FIRST), world.queued(LATER)) == (["long"], ["long"])

    play(server, scene, clock)


def test_what_a_broker_forgot_is_sent_again(server: RedisServer) -> None:
    clock = Clock()

    async def scene(world: World) -> None:
        await world.submit("a", 5.0)
        await world.dispatcher.send_due()
        with redis.Redis(port=server.port) as client:
            client.delete(queue_key(FIRST))
        clock.move(60)
        assert await world.dispatcher.send_due() == 1
        assert world.queued(FIRST) == ["a"]

    play(server, scene, clock)


def test_more_than_one_handful_is_sent_at_once(server: RedisServer) -> None:
    async def scene(world: World) -> None:
        for number in range(SENT_AT_ONCE + 5):
            await world.submit(str(number), 5.0)
        running = asyncio.create_task(Dispatcher(world.store, world.broker, 1000.0).run())
        async with asyncio.timeout(10):
            while len(world.queued(FIRST)) < SENT_AT_ONCE + 5:
                await asyncio.sleep(0.05)
        running.cancel()

    play(server, scene)


def test_a_broker_that_is_gone_is_said_and_goes_on_when_it_is_back(tmp_path: Path) -> None:
    with redis_server(tmp_path) as server:

        async def scene(world: World) -> None:
            await world.submit("a", 5.0)
            server.kill()
            with pytest.raises(ServiceUnavailable):
                await world.dispatcher.send_due()
            running = asyncio.create_task(Dispatcher(world.store, world.broker, 0.05).run())
            await asyncio.sleep(0.5)
            await asyncio.to_thread(server.start)
            async with asyncio.timeout(30):
                while world.queued(FIRST) != ["a"]:
                    await asyncio.sleep(0.05)
            running.cancel()

        play(server, scene)
