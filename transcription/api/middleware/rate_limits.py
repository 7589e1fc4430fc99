"""How many requests a client may send in a minute."""

from __future__ import annotations

import asyncio
import math
import time
from dataclasses import dataclass

import structlog
from limits import RateLimitItemPerMinute
from limits.aio.storage import MemoryStorage, RedisStorage
from limits.aio.strategies import SlidingWindowCounterRateLimiter
from redis.exceptions import RedisError

REDIS_SECONDS = 0.2  # that a request waits for Redis at most
PAUSE_SECONDS = 2.0  # after a failure of Redis, in which it is not asked again
WARNING_SECONDS = 60.0  # between two warnings that Redis does not answer

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class RateLimitStatus:
    """The state of a client's rate limit after a request.

    allowed: whether the request is within the limit. limit: requests per minute. remaining: requests left.
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
            "RateLimit-Limit": str(self.limit),
            "RateLimit-Remaining": str(self.remaining),
            "RateLimit-Reset": str(self.reset),
        }


class RateLimits:
    """Counts requests in a sliding window of one minute. Its memory is two numbers per client, whatever it sends.

    redis_url: Redis to count in together with other processes; "" counts in this process alone.
    """

    def __init__(self, redis_url: str) -> None:
        storage = (
            RedisStorage(
                f"async+{redis_url}",
                implementation="redispy",
                socket_timeout=REDIS_SECONDS,
                socket_connect_timeout=REDIS_SECONDS,
            )
            if redis_url
            else MemoryStorage()
        )
        self._limiter = SlidingWindowCounterRateLimiter(storage)
        self._warned_at = -math.inf
        self._ask_again_at = -math.inf

    async def count(self, kind: str, client: str, per_minute: int) -> RateLimitStatus | None:
        """Count one request. None if Redis does not answer: limits are suspended then, and no client has to wait."""
        if time.monotonic() < self._ask_again_at:
            return None
        item = RateLimitItemPerMinute(per_minute)
        try:
            async with asyncio.timeout(REDIS_SECONDS):
                allowed = await self._limiter.hit(item, kind, client)
                stats = await self._limiter.get_window_stats(item, kind, client)
        except (RedisError, OSError, TimeoutError) as error:
            self._ask_again_at = time.monotonic() + PAUSE_SECONDS
            self._warn(error)
            return None
        reset = max(1, math.ceil(stats.reset_time - time.time()))
        return RateLimitStatus(allowed, per_minute, max(0, stats.remaining), reset)

    def _warn(self, error: Exception) -> None:
        if time.monotonic() - self._warned_at >= WARNING_SECONDS:
            self._warned_at = time.monotonic()
            log.warning(
                "rate_limits_suspended", error=f"{type(error).__name__}: {error}", remedy="look after REDIS_URL"
            )
