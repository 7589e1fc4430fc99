"""Expiry, backups and the end of the process."""

from __future__ import annotations

import structlog
from redis.exceptions import ResponseError

from transcription.core.errors import NewerStore, ServiceUnavailable
from transcription.jobs.store.redis.rows import job_of
from transcription.jobs.store.redis.steps import RedisSteps, redis_errors

EXPIRED_AT_ONCE = 100  # jobs deleted in one step, so that other steps are not blocked for long

READ_AT_ONCE = 100

log = structlog.get_logger(__name__)


class RedisMaintenance(RedisSteps):
    """As `transcription.jobs.store.base.Maintenance`."""

    async def expire(self) -> None:
        while await self._step("expire", limit=EXPIRED_AT_ONCE):
            pass

    async def check_version(self) -> None:
        try:
            await self._step("count")
        except NewerStore:
            raise
        except ServiceUnavailable as error:  # every step checks again
            log.warning("version_of_jobs_not_checked", reason=error.message, detail=error.detail)

    async def fail_unreadable(self) -> None:
        before = None
        while shown := await self._step("list", statuses=[], before=before, limit=READ_AT_ONCE):
            jobs = [job_of(job) for job in shown]
            for job in jobs:
                if not job.readable:
                    await self._fail_unreadable(job)
            before = jobs[-1].number

    async def recordings_in_use(self) -> frozenset[str]:
        names = [*await self._step("recordings"), *await self._step("files")]
        return frozenset(name.decode(errors="replace") for name in names)

    async def back_up(self) -> None:
        """Log a warning if Redis is not configured to keep jobs. Its own files are the backup: docs/DEPLOYMENT.md."""
        for weakness in await self.weaknesses():
            log.warning("redis_may_lose_jobs", reason=weakness)

    async def close(self) -> None:
        await self._redis.aclose()

    async def weaknesses(self) -> list[str]:
        """Settings of this Redis that risk the loss of jobs, each with its remedy; for operators.

        Empty if the server does not reveal its configuration. Raises ServiceUnavailable.
        """
        with redis_errors():
            try:
                known = {**await self._redis.config_get("appendonly"), **await self._redis.config_get("maxmemory*")}
            except ResponseError:  # managed servers hide their configuration
                return []
        found = []
        if known.get("appendonly") == "no":
            found.append("appendonly is no: jobs are lost when Redis restarts. Set appendonly yes, appendfsync always.")
        if known.get("maxmemory") != "0" and known.get("maxmemory-policy") != "noeviction":
            found.append("maxmemory-policy lets Redis evict jobs when it is full. Set it to noeviction.")
        return found
