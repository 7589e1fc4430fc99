"""Jobs in one Redis database, which any number of machines share. The steps are written in Lua, see `scripts/`."""

from __future__ import annotations

from transcription.jobs.store.redis.deliveries import RedisDeliveries
from transcription.jobs.store.redis.jobs import RedisJobs
from transcription.jobs.store.redis.maintenance import RedisMaintenance
from transcription.jobs.store.redis.messages import RedisMessages
from transcription.jobs.store.redis.queue import RedisQueue
from transcription.jobs.store.redis.results import RedisResults
from transcription.jobs.store.redis.versions import RedisVersions


class RedisStore(RedisJobs, RedisVersions, RedisResults, RedisQueue, RedisMessages, RedisDeliveries, RedisMaintenance):
    """A `transcription.jobs.store.base.JobStore` in one Redis database, which messages and rate limits may share.

    Redis must write every change to disk (`appendonly yes`), and reject writes rather than evict keys when it is full
    (`noeviction`).
    """
