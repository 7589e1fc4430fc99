"""The minutes of live audio that a client may send in an hour."""

from __future__ import annotations

from limits import RateLimitItemPerHour
from limits.aio.strategies import FixedWindowRateLimiter

from transcription.api.middleware.rate_limits import RateLimits
from transcription.core.errors import TooManyLiveMinutes
from transcription.core.settings import Settings
from transcription.live.allowance import LiveClient

KIND = "live"


class LiveMinutes:
    """Counts the seconds of each client, in this process or in the Redis of the rate limits.

    An hour begins with a client's first audio. A sliding window would let a client that has used it up go on for a few
    seconds again and again.
    """

    def __init__(self, settings: Settings) -> None:
        self._rates = RateLimits(settings.limits_redis_url, FixedWindowRateLimiter)
        self._minutes = settings.max_client_live_minutes

    async def take(self, client: LiveClient, seconds: int) -> None:
        """Count more audio. Raises TooManyLiveMinutes beyond the client's limit."""
        if not client.key:
            return
        minutes = client.minutes_per_hour or self._minutes
        status = await self._rates.count(KIND, client.key, RateLimitItemPerHour(minutes * 60), seconds)
        if status and not status.allowed:
            raise TooManyLiveMinutes(
                f"You have sent {minutes} minutes of live audio within an hour, the maximum. Try again in "
                f"{status.reset} s.",
                retry_after=status.reset,
            )
