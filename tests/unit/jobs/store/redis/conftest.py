"""A store on an empty Redis."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import redis

from tests.support.redis_server import RedisServer
from tests.unit.jobs.store.support import RESULT_TTL, Calls, Clock
from transcription.jobs.store.redis.steps import PREFIX
from transcription.jobs.store.redis.store import RedisStore


@pytest.fixture
def url(server: RedisServer) -> str:
    return server.url


@pytest.fixture
def store(url: str, clock: Clock) -> Iterator[Calls]:
    opened = Calls(RedisStore(url, result_ttl=RESULT_TTL, clock=clock))
    yield opened
    opened.close()


@pytest.fixture
def keys(server: RedisServer) -> Iterator[redis.Redis]:
    """The keys of the store, by another client."""
    with redis.Redis(port=server.port) as client:
        yield client


@pytest.fixture
def poison(keys: redis.Redis) -> Callable[[str, str, object], None]:
    """Replaces a field of a job; None deletes it."""

    def replace(job_id: str, field: str, value: object) -> None:
        key = f"{PREFIX}:job:{job_id}"
        if value is None:
            keys.hdel(key, field)
        else:
            keys.hset(key, field, value)

    return replace


@pytest.fixture
def spoil_results(keys: redis.Redis) -> Callable[[bytes | None], None]:
    """Replaces every stored transcript; None deletes them."""

    def spoil(packed: bytes | None) -> None:
        for key in keys.keys(f"{PREFIX}:result:*"):
            if packed is None:
                keys.delete(key)
            else:
                keys.hset(key, "transcript", packed)

    return spoil


@pytest.fixture
def spoil_window(keys: redis.Redis) -> Callable[[int], None]:
    """Replaces the window at a position."""
    return lambda position: keys.lset(keys.keys(f"{PREFIX}:windows:*")[0], position, b"60 x\x9c truncated")


@pytest.fixture
def spoil_version(keys: redis.Redis) -> Callable[[str, int], None]:
    """Replaces a former version of a job's transcript."""
    return lambda job_id, number: keys.hset(f"{PREFIX}:version:{job_id}:{number}", "transcript", b"no transcript")
