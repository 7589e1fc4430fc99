"""A store on an empty Redis."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.redis_server import RedisServer
from tests.unit.jobs.store.support import RESULT_TTL, Calls, Clock
from transcription.jobs.store.redis.store import RedisStore


@pytest.fixture
def url(server: RedisServer) -> str:
    return server.url


@pytest.fixture
def store(url: str, clock: Clock) -> Iterator[Calls]:
    opened = Calls(RedisStore(url, result_ttl=RESULT_TTL, clock=clock))
    yield opened
    opened.close()
