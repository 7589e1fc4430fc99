"""Shared by uploads and fetched files: the declared size, and the minimum transfer rate."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Mapping
from typing import TypeVar

MAX_SIZE_DIGITS = 19  # those of 2**63; Python refuses to convert numbers of several thousand digits

Chunk = TypeVar("Chunk")


class Stalled(Exception):
    """No byte arrived within the timeout."""


class TooSlow(Exception):
    """The average transfer rate is below the minimum."""


def declared_size(headers: Mapping[str, str]) -> int | None:
    """Content-Length in bytes; None if it is missing or not a number of at most MAX_SIZE_DIGITS digits."""
    value = headers.get("content-length", "")
    return int(value) if value.isascii() and value.isdigit() and len(value) <= MAX_SIZE_DIGITS else None


class Pace:
    """Measures how fast a peer sends. Only time spent waiting for the peer counts, not time spent on a slow disk.

    timeout: maximum wait for the next bytes, seconds. rate: minimum average, bytes per second, checked once `timeout`
    seconds have been spent waiting; 0 for no minimum.
    """

    def __init__(self, timeout: float, rate: int) -> None:
        self.timeout = timeout
        self.rate = rate
        self._waited = 0.0
        self._received = 0

    async def wait_for(self, chunk: Awaitable[Chunk]) -> Chunk:
        """The next chunk. Raises Stalled."""
        clock = asyncio.get_running_loop().time
        started = clock()
        try:
            async with asyncio.timeout(self.timeout):
                received = await chunk
        except TimeoutError:
            raise Stalled from None
        self._waited += clock() - started
        return received

    def count(self, size: int) -> None:
        """Count `size` received bytes. Raises TooSlow."""
        self._received += size
        if self._waited > self.timeout and self._received < self.rate * self._waited:
            raise TooSlow
