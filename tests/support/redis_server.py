"""A real Redis on a free port, with persistence, that tests start, kill and start again."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.cluster import redis_member
from tests.support.service import free_port


class RedisServer:
    """One server with its files in `folder`; the same address and the same data however often it starts."""

    def __init__(self, folder: Path, *more: str) -> None:
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self._member = redis_member(folder, self.port, *more)

    def start(self) -> None:
        """Returns when it answers."""
        self._member.start()

    def kill(self) -> None:
        """End it with SIGKILL, as when its machine fails."""
        self._member.kill()


@contextmanager
def redis_server(folder: Path, *more: str) -> Iterator[RedisServer]:
    """A running server. The test is skipped where none is installed. more: additional options of redis-server."""
    if not shutil.which("redis-server"):
        pytest.skip("redis-server is needed: make tools")
    server = RedisServer(folder, *more)
    server.start()
    try:
        yield server
    finally:
        server.kill()
