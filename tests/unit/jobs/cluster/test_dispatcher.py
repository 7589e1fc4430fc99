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

from tests.support.certificates import write_certificate
from tests.support.redis_server import RedisServer, redis_server
from tests.support.service import free_port
from tests.unit.jobs.store.support import LEASE, Clock, new_job
from transcription.core.errors import ServiceUnavailable
from transcription.core.settings import Settings
from transcription.jobs.cluster.broker import (
    FIRST,
    LATER,
    PATIENCE_SECONDS,
    SHORT_SECONDS,
    SOON,
    TASK,
    Broker,
    Message,
    priority_of,
    queue_key,
)
from transcription.jobs.cluster.dispatcher import SENT_AT_ONCE, Dispatcher
from transcription.jobs.store.redis.store import RedisStore

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


SECONDS = st.none() | st.floats(0, 1e6)


@given(SECONDS, st.floats(0, PATIENCE_SECONDS - 1))
def test_short_recordings_go_before_longer_ones(seconds: float | None, waiting: float) -> None:
    is_short = seconds is not None and seconds <= SHORT_SECONDS
    assert priority_of(0, seconds, waiting) == (SOON if is_short else LATER)


@given(SECONDS, st.floats(PATIENCE_SECONDS, 1e9))
def test_whatever_waits_long_goes_with_the_short_ones(seconds: float | None, waiting: float) -> None:
    assert priority_of(0, seconds, waiting) == SOON


@given(st.integers(1, 100), SECONDS, st.floats(0, 1e9))
def test_what_was_begun_is_finished_before_anything_else_is_begun(
    attempt: int, seconds: float | None, waiting: float
) -> None:
    assert priority_of(attempt, seconds, waiting) == FIRST


def test_a_job_whose_worker_is_gone_goes_before_all_that_wait(server: RedisServer) -> None:
    clock = Clock()

    async def scene(world: World) -> None:
        for job_id in ("begun", "waits"):
            await world.submit(job_id, 5.0)
        await world.dispatcher.send_due()
        await world.store.claim("gone", "begun")
        clock.move(LEASE)
        await world.dispatcher.send_due()
        assert world.queued(FIRST) == ["begun"]

    play(server, scene, clock)


def test_jobs_are_sent_in_their_order_by_priority(server: RedisServer) -> None:
    async def scene(world: World) -> None:
        for job_id, seconds in (("a", LONG), ("b", 5.0), ("c", None), ("d", 10.0)):
            await world.submit(job_id, seconds)
        assert await world.dispatcher.send_due() == 4
        assert (world.queued(SOON), world.queued(LATER)) == (["b", "d"], ["a", "c"])

    play(server, scene)


def test_nothing_is_sent_twice_by_many_who_send(server: RedisServer) -> None:
    async def scene(world: World) -> None:
        for number in range(20):
            await world.submit(str(number), 5.0)
        dispatchers = [Dispatcher(world.store, world.broker) for _ in range(4)]
        assert sum(await asyncio.gather(*(each.send_due() for each in dispatchers))) == 20
        assert sorted(world.queued(SOON)) == sorted(map(str, range(20)))

    play(server, scene)


def test_a_long_wait_brings_a_long_recording_to_the_front(server: RedisServer) -> None:
    clock = Clock()

    async def scene(world: World) -> None:
        await world.submit("long", LONG)
        await world.dispatcher.send_due()
        clock.move(PATIENCE_SECONDS)
        await world.dispatcher.send_due()
        assert (world.queued(SOON), world.queued(LATER)) == (["long"], ["long"])

    play(server, scene, clock)


def test_what_a_broker_forgot_is_sent_again(server: RedisServer) -> None:
    clock = Clock()

    async def scene(world: World) -> None:
        await world.submit("a", 5.0)
        await world.dispatcher.send_due()
        with redis.Redis(port=server.port) as client:
            client.delete(queue_key(SOON))
        clock.move(60)
        assert await world.dispatcher.send_due() == 1
        assert world.queued(SOON) == ["a"]

    play(server, scene, clock)


def test_more_than_one_handful_is_sent_at_once(server: RedisServer) -> None:
    async def scene(world: World) -> None:
        for number in range(SENT_AT_ONCE + 5):
            await world.submit(str(number), 5.0)
        running = asyncio.create_task(Dispatcher(world.store, world.broker, 1000.0).run())
        async with asyncio.timeout(10):
            while len(world.queued(SOON)) < SENT_AT_ONCE + 5:
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
                while world.queued(SOON) != ["a"]:
                    await asyncio.sleep(0.05)
            running.cancel()

        play(server, scene)


@pytest.fixture
def tls(tmp_path: Path) -> Iterator[str]:
    """Address of a Redis that speaks TLS, whose certificate is nobody's but its own."""
    files = tmp_path / "tls.pem"
    write_certificate(files, "localhost")
    port = free_port()
    options = ["--tls-port", str(port), "--tls-cert-file", str(files), "--tls-key-file", str(files)]
    with redis_server(tmp_path, *options, "--tls-auth-clients", "no", "--tls-ca-cert-file", str(files)):
        yield f"rediss://localhost:{port}/0"


def test_both_connections_check_the_certificate_of_rediss(tls: str, tmp_path: Path) -> None:
    async def reach(url: str) -> None:
        store, broker = RedisStore(url, result_ttl=1), Broker(Settings(job_backend="celery", redis_url=url))
        try:
            await store.submit(new_job("a"))
            assert await broker.is_empty()
            await broker.send([Message("a", SOON)])
            assert not await broker.is_empty()
        finally:
            await store.close()
            await broker.close()

    asyncio.run(reach(f"{tls}?ssl_ca_certs={tmp_path / 'tls.pem'}"))
    with pytest.raises(ServiceUnavailable, match="does not answer"):
        asyncio.run(reach(tls))


def test_messages_are_not_sent_where_the_certificate_is_unknown(tls: str) -> None:
    async def send() -> None:
        broker = Broker(Settings(job_backend="celery", redis_url=tls))
        try:
            await broker.send([Message("a", SOON)])
        finally:
            await broker.close()

    with pytest.raises(ServiceUnavailable):
        asyncio.run(send())
