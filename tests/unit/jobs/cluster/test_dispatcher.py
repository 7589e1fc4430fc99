"""Jobs reach Celery's queue once and in the right order, whatever fails between the store and the broker."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import redis
from hypothesis import given
from hypothesis import strategies as st
from limits import RateLimitItemPerMinute

from tests.support.certificates import write_certificate
from tests.support.redis_server import RedisServer, redis_server
from tests.support.sentinels import PRIMARY, sentinel_with_tls
from tests.support.service import free_port
from tests.unit.jobs.store.support import LEASE, Clock, new_job
from transcription.api.middleware.rate_limits import RateLimits
from transcription.core.errors import ServiceUnavailable
from transcription.core.settings import Settings
from transcription.jobs.cluster.broker import (
    FIRST,
    LATER,
    LONG_WAIT_SECONDS,
    SHORT_SECONDS,
    SOON,
    TASK,
    Broker,
    Message,
    priority_of,
    queue_key,
)
from transcription.jobs.cluster.dispatcher import BATCH_SIZE, Dispatcher
from transcription.jobs.store.redis.store import RedisStore

LONG = SHORT_SECONDS + 1


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
        """Ids in the order in which workers receive them."""
        with redis.Redis(port=self._port) as client:
            messages = [json.loads(message) for message in client.lrange(queue_key(priority), 0, -1)]
        assert {message["headers"]["task"] for message in messages} <= {TASK}
        return [json.loads(message["headers"]["argsrepr"].replace("'", '"').strip("(),")) for message in messages][::-1]


def play(
    server: RedisServer, scene: Callable[[World], Coroutine[None, None, None]], clock: Clock | None = None
) -> None:
    """Run a scene in a new world."""

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


@given(SECONDS, st.floats(0, LONG_WAIT_SECONDS - 1))
def test_short_recordings_go_before_longer_ones(seconds: float | None, waiting: float) -> None:
    is_short = seconds is not None and seconds <= SHORT_SECONDS
    assert priority_of(0, seconds, waiting) == (SOON if is_short else LATER)


@given(SECONDS, st.floats(LONG_WAIT_SECONDS, 1e9))
def test_a_job_that_waited_long_has_the_priority_of_short_recordings(seconds: float | None, waiting: float) -> None:
    assert priority_of(0, seconds, waiting) == SOON


@given(st.integers(1, 100), SECONDS, st.floats(0, 1e9))
def test_a_job_that_was_begun_has_the_highest_priority(attempt: int, seconds: float | None, waiting: float) -> None:
    assert priority_of(attempt, seconds, waiting) == FIRST


def test_a_job_of_a_lost_worker_has_the_highest_priority(server: RedisServer) -> None:
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


def test_jobs_are_sent_in_order_within_each_priority(server: RedisServer) -> None:
    async def scene(world: World) -> None:
        for job_id, seconds in (("a", LONG), ("b", 5.0), ("c", None), ("d", 10.0)):
            await world.submit(job_id, seconds)
        assert await world.dispatcher.send_due() == 4
        assert (world.queued(SOON), world.queued(LATER)) == (["b", "d"], ["a", "c"])

    play(server, scene)


def test_several_dispatchers_send_each_message_once(server: RedisServer) -> None:
    async def scene(world: World) -> None:
        for number in range(20):
            await world.submit(str(number), 5.0)
        dispatchers = [Dispatcher(world.store, world.broker) for _ in range(4)]
        assert sum(await asyncio.gather(*(each.send_due() for each in dispatchers))) == 20
        assert sorted(world.queued(SOON)) == sorted(map(str, range(20)))

    play(server, scene)


def test_a_long_wait_raises_the_priority_of_a_long_recording(server: RedisServer) -> None:
    clock = Clock()

    async def scene(world: World) -> None:
        await world.submit("long", LONG)
        await world.dispatcher.send_due()
        clock.move(LONG_WAIT_SECONDS)
        await world.dispatcher.send_due()
        assert (world.queued(SOON), world.queued(LATER)) == (["long"], ["long"])

    play(server, scene, clock)


def test_a_message_lost_by_the_broker_is_sent_again(server: RedisServer) -> None:
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


def test_more_messages_than_one_batch_are_sent_without_a_pause(server: RedisServer) -> None:
    async def scene(world: World) -> None:
        for number in range(BATCH_SIZE + 5):
            await world.submit(str(number), 5.0)
        running = asyncio.create_task(Dispatcher(world.store, world.broker, 1000.0).run())
        async with asyncio.timeout(100):  # a tenth of the pause
            while len(world.queued(SOON)) < BATCH_SIZE + 5:
                await asyncio.sleep(0.05)
        running.cancel()

    play(server, scene)


def test_an_unreachable_broker_is_reported_and_used_again_when_it_is_back(tmp_path: Path) -> None:
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
    """The URL of a Redis with TLS and a self-signed certificate."""
    files = tmp_path / "tls.pem"
    write_certificate(files, "localhost")
    port = free_port()
    options = ["--tls-port", str(port), "--tls-cert-file", str(files), "--tls-key-file", str(files)]
    with redis_server(tmp_path, *options, "--tls-auth-clients", "no", "--tls-ca-cert-file", str(files)):
        yield f"rediss://localhost:{port}/0"


def test_store_and_broker_verify_the_certificate_of_a_rediss_url(tls: str, tmp_path: Path) -> None:
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


def test_store_broker_and_limits_verify_the_certificates_of_sentinels_and_of_their_primary(
    tls: str, tmp_path: Path
) -> None:
    async def reach(url: str) -> None:
        store, broker = RedisStore(url, result_ttl=1), Broker(Settings(job_backend="celery", redis_url=url))
        limits = RateLimits(url)
        try:
            await store.submit(new_job("a"))
            await broker.send([Message("a", SOON)])
            assert not await broker.is_empty()
            async with asyncio.timeout(30):  # on a busy machine the first connection takes longer than requests wait
                while not await limits.count("uploads", "client", RateLimitItemPerMinute(5)):
                    await asyncio.sleep(0.05)
        finally:
            await store.close()
            await broker.close()

    certificate, primary = tmp_path / "tls.pem", urlsplit(tls).port
    assert primary
    with sentinel_with_tls(tmp_path, primary, certificate) as port:
        url = f"rediss+sentinel://localhost:{port}/{PRIMARY}"
        asyncio.run(reach(f"{url}?ssl_ca_certs={certificate}"))
        with pytest.raises(ServiceUnavailable):
            asyncio.run(reach(url))
        assert asyncio.run(RateLimits(url).count("uploads", "client", RateLimitItemPerMinute(5))) is None


def test_no_message_is_sent_if_the_certificate_is_not_trusted(tls: str) -> None:
    async def send() -> None:
        broker = Broker(Settings(job_backend="celery", redis_url=tls))
        try:
            await broker.send([Message("a", SOON)])
        finally:
            await broker.close()

    with pytest.raises(ServiceUnavailable):
        asyncio.run(send())
