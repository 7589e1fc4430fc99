"""A private hook into redis-py 8 on Python 3.11: a command that is cancelled does not go on as if it were not.

redis-py sends each command within `asyncio.wait_for`. That of Python 3.11 forgets a cancellation that arrives as its
task ends (python/cpython#86296). The caller, a heartbeat or a live session for example, then goes on, and what waits
for its end hangs. Python 3.12 has it as below. Every module that opens a client of Redis installs the hook, also where
another package makes the client.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable
from types import ModuleType
from typing import Any, TypeVar

from redis.asyncio import connection

T = TypeVar("T")


class _Asyncio(ModuleType):
    """asyncio with the `wait_for` of Python 3.12."""

    def __getattr__(self, name: str) -> Any:
        return getattr(asyncio, name)

    @staticmethod
    async def wait_for(work: Awaitable[T], timeout: float | None) -> T:
        async with asyncio.timeout(timeout):
            return await work


def install() -> None:
    """Install the hook, once or more."""
    if sys.version_info < (3, 12):
        connection.asyncio = _Asyncio("asyncio")  # type: ignore[attr-defined]
