"""A Redis for the tests of a module, emptied for each of them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import redis

from tests.support.redis_server import RedisServer, redis_server


@pytest.fixture(scope="module")
def redis_of_module(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with redis_server(tmp_path_factory.mktemp("redis")) as running:
        yield running


@pytest.fixture
def server(redis_of_module: RedisServer) -> RedisServer:
    with redis.Redis(port=redis_of_module.port) as client:
        client.flushall()
    return redis_of_module
