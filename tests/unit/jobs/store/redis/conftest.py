"""A Redis of its own, emptied for each test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import redis

from tests.support.redis_server import RedisServer, redis_server
from tests.unit.jobs.store.support import (
    RESULT_TTL,
    Calls,
    Clock,
)
from transcription.jobs.store.redis.store import RedisStore


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with redis_server(tmp_path_factory.mktemp("redis")) as running:
        yield running


@pytest.fixture
def url(server: RedisServer) -> str:
    with redis.Redis(port=server.port) as client:
        client.flushall()
    return server.url


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(url: str, clock: Clock) -> Iterator[Calls]:
    opened = Calls(RedisStore(url, result_ttl=RESULT_TTL, clock=clock))
    yield opened
    opened.close()
