"""A Redis for the tests of a module, emptied for each of them; a server that speaks S3 for the session."""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Iterator

import pytest
import redis

from tests.support.redis_server import RedisServer, redis_server
from tests.support.s3_server import S3Server, s3_server


@pytest.fixture(scope="module")
def redis_of_module(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with redis_server(tmp_path_factory.mktemp("redis")) as running:
        yield running


@pytest.fixture
def server(redis_of_module: RedisServer) -> RedisServer:
    with redis.Redis(port=redis_of_module.port) as client:
        client.flushall()
    return redis_of_module


@pytest.fixture(scope="session")
def s3() -> Iterator[S3Server]:
    with s3_server() as server:
        yield server


@pytest.fixture
def connect(monkeypatch: pytest.MonkeyPatch) -> Callable[[dict[str, str]], None]:
    """Point the drivers to a server, by the environment only."""

    def make(environment: dict[str, str]) -> None:
        for name in [name for name in os.environ if name.startswith("AWS_")]:
            monkeypatch.delenv(name)
        for name, value in environment.items():
            monkeypatch.setenv(name, value)

    return make


@pytest.fixture
def bucket(s3: S3Server, connect: Callable[[dict[str, str]], None]) -> str:
    """An empty bucket on the server that the drivers use."""
    name = f"bucket-{uuid.uuid4().hex}"
    s3.make_bucket(name)
    connect(s3.environment)
    return name
