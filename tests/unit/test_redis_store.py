"""The Redis store does what every store does, and what many machines and a server that may be gone ask of it."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator

import pytest
import redis

from errors import OutcomeUnknown, ServiceUnavailable
from jobs.job import JobStatus
from jobs.redis_store import RedisStore
from tests.redis_server import RedisServer, redis_server
from tests.unit.store_contract import RESULT_TTL, Calls, Clock, StoreContract, new_job, transcript, window
from tests.unit.store_contract_ends import EndsContract


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


class TestRedisStore(StoreContract, EndsContract):
    pass
