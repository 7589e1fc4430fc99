"""Opens the client of a Redis by its URL."""

from __future__ import annotations

from typing import Any

from redis.asyncio import Redis
from redis.asyncio.sentinel import Sentinel

from transcription.core import kept_cancellations
from transcription.core.redis_url import parse_sentinels


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
