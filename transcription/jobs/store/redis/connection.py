"""Opens the client of a Redis by its URL."""

from __future__ import annotations

import asyncio
import contextlib
import math
import time
from typing import Any

from redis.asyncio import Redis
from redis.asyncio.sentinel import Sentinel, SentinelConnectionPool
from redis.exceptions import OutOfMemoryError, RedisError

from transcription.core import kept_cancellations
from transcription.core.redis_url import parse_sentinels

ASK_EVERY = 1.0  # seconds for which the answer of the Sentinels is believed
SENTINEL_SECONDS = 0.5  # for that answer; without one the primary stays the same
DISK_FULL = "MISCONF"  # Redis refuses writes, because it cannot save them


def is_full(error: RedisError) -> bool:
    """Whether Redis refused a write for want of memory or disk."""
    return isinstance(error, OutOfMemoryError) or str(error).startswith(DISK_FULL)


class Primary:
    """Which server a client of `open_redis` uses.

    A primary that is cut off from its replicas and the Sentinels still answers those who are connected to it, while
    another one is elected. Clients must leave it, and no connection breaks to tell them.
    """

    def __init__(self, client: Redis) -> None:
        pool = client.connection_pool
        self._pool = pool if isinstance(pool, SentinelConnectionPool) else None
        self._asked_at = -math.inf
        self._followed: Any = None  # its address

    @property
    def is_elected(self) -> bool:
        """Whether there are Sentinels, and so replicas."""
        return self._pool is not None

    async def follow(self, *, believe: float = ASK_EVERY) -> None:
        """Ask the Sentinels for the primary, unless they were `believe` seconds ago.

        If it is another one, connections to the former one are not used for further commands.
        """
        now = time.monotonic()
        if self._pool is None or now - self._asked_at < believe:
            return
        self._asked_at = now
        with contextlib.suppress(RedisError, TimeoutError):
            async with asyncio.timeout(SENTINEL_SECONDS):
                await self._pool.get_master_address()  # type: ignore[no-untyped-call]
        if self._followed != self._pool.master_address:
            self._followed = self._pool.master_address
            # The pool of asyncio ends only those that are not in use.
            await self._pool.update_active_connections_for_reconnect()  # type: ignore[no-untyped-call]


def open_redis(url: str, *, connect_seconds: float, answer_seconds: float, **options: Any) -> Redis:
    """A client, connected at its first command. With Sentinels it follows the primary after a failover.

    options: of the client, such as retry.
    """
    kept_cancellations.install()
    limits: dict[str, Any] = {"socket_connect_timeout": connect_seconds, "socket_timeout": answer_seconds}
    sentinels = parse_sentinels(url)
    if sentinels is None:
        client: Redis = Redis.from_url(url, **limits, **options)
        return client
    limits |= sentinels.tls
    known = Sentinel(sentinels.hosts, sentinel_kwargs=limits)  # type: ignore[no-untyped-call]
    primary: Redis = known.master_for(
        sentinels.primary,
        db=sentinels.database,
        username=sentinels.user or None,
        password=sentinels.password or None,
        **limits,
        **options,
    )
    return primary
