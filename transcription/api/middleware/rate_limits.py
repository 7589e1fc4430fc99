"""What a client may use in a period, such as requests per minute, and the RateLimit headers that report it."""

from __future__ import annotations

import asyncio
import math
import time
from dataclasses import dataclass
from typing import Any

import structlog
from limits import RateLimitItem
from limits.aio.storage import MemoryStorage, RedisSentinelStorage, RedisStorage, Storage
from limits.aio.strategies import RateLimiter, SlidingWindowCounterRateLimiter

from transcription.core.redis_url import parse_sentinels

REDIS_SECONDS = 0.2  # maximum time that a request waits for Redis
PAUSE_SECONDS = 2.0  # after a failure, during which Redis is not called
WARNING_SECONDS = 60.0  # between two warnings that Redis does not answer
LIMIT_HEADER = "RateLimit-Limit"  # requests per minute
REMAINING_HEADER = "RateLimit-Remaining"  # requests
RESET_HEADER = "RateLimit-Reset"  # seconds

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class RateLimitStatus:
    """The state of a client's limit after it was counted.

    allowed: whether it is within the limit. limit: per period, such as requests per minute. remaining: what is left.
    reset: seconds until the window ends.
    """

    allowed: bool
    limit: int
    remaining: int
    reset: int

    @property
    def headers(self) -> dict[str, str]:
        """The RateLimit headers of the answer."""
        return {
            LIMIT_HEADER: str(self.limit),
            REMAINING_HEADER: str(self.remaining),
            RESET_HEADER: str(self.reset),
        }


class RateLimits:
    """Counts what each client uses, by default in a sliding window. It stores two numbers per client.

    redis_url: the Redis that is shared with other processes; "" counts in this process only.
    """

    def __init__(self, redis_url: str, limiter: type[RateLimiter] = SlidingWindowCounterRateLimiter) -> None:
        storage, self._failures = _storage_in(redis_url)
        self._limiter = limiter(storage)
        self._warned_at = -math.inf
        self._retry_at = -math.inf

    async def count(self, kind: str, client: str, limit: RateLimitItem, cost: int = 1) -> RateLimitStatus | None:
        """Count one request, or what it costs.

        None if Redis does not answer: limits are then suspended, so that requests do not wait.
        """
        if time.monotonic() < self._retry_at:
            return None
        try:
            async with asyncio.timeout(REDIS_SECONDS):
                allowed = await self._limiter.hit(limit, kind, client, cost=cost)
                stats = await self._limiter.get_window_stats(limit, kind, client)
        except self._failures as error:
            self._retry_at = time.monotonic() + PAUSE_SECONDS
            self._warn(error)
            return None
        reset = max(1, math.ceil(stats.reset_time - time.time()))
        return RateLimitStatus(allowed, limit.amount, max(0, stats.remaining), reset)

    def _warn(self, error: Exception) -> None:
        if time.monotonic() - self._warned_at >= WARNING_SECONDS:
            self._warned_at = time.monotonic()
            log.warning(
                "rate_limits_suspended", error=f"{type(error).__name__}: {error}", remedy="check the Redis at REDIS_URL"
            )


def _storage_in(redis_url: str) -> tuple[Storage, tuple[type[Exception], ...]]:
    """The storage of the counters, and the exceptions that it raises if it cannot be reached."""
    failures: tuple[type[Exception], ...] = (OSError, TimeoutError)
    if not redis_url:
        return MemoryStorage(), failures
    # Imported here, because the client of Redis takes 0.3 s of CPU to import and a single machine does without it.
    from redis.exceptions import RedisError

    from transcription.core import kept_cancellations

    kept_cancellations.install()
    limits: dict[str, Any] = {"socket_timeout": REDIS_SECONDS, "socket_connect_timeout": REDIS_SECONDS}
    if sentinels := parse_sentinels(redis_url):
        hosts = ",".join(f"{host}:{port}" for host, port in sentinels.hosts)
        limits |= sentinels.tls
        names: dict[str, Any] = {"username": sentinels.user or None, "password": sentinels.password or None}
        of_sentinels = RedisSentinelStorage(
            f"async+redis+sentinel://{hosts}/{sentinels.primary}",
            implementation="redispy",
            use_replicas=False,
            sentinel_kwargs=limits,
            db=sentinels.database,
            **{**limits, **names},
        )
        return of_sentinels, (RedisError, *failures)
    storage = RedisStorage(f"async+{redis_url}", implementation="redispy", **limits)
    return storage, (RedisError, *failures)
