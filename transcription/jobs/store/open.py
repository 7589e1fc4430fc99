"""Opens the job store chosen by the settings."""

from __future__ import annotations

from typing import TYPE_CHECKING

from transcription.core.settings import Settings
from transcription.jobs.recordings.base import RecordingStore
from transcription.jobs.recordings.results import ResultFiles
from transcription.jobs.store.base import JobStore
from transcription.jobs.store.sqlite.store import SqliteStore

if TYPE_CHECKING:
    from transcription.jobs.store.redis.store import RedisStore


def open_store(settings: Settings) -> JobStore:
    """The job store. One in Redis is connected to at the first step, and has no access to transcripts in files.

    Raises DamagedStore, ServiceUnavailable.
    """
    if settings.job_backend == "celery":
        return open_shared_store(settings)
    return SqliteStore(settings.jobs_dir, result_ttl=settings.job_result_ttl, caching=settings.enable_cache)


def open_shared_store(settings: Settings, recordings: RecordingStore | None = None) -> RedisStore:
    """The store that all machines share. recordings: where large transcripts are; None if none is stored or read."""
    # Imported here, because the client of Redis takes 0.3 s of CPU to import and only clusters need it.
    from transcription.jobs.store.redis.store import RedisStore

    return RedisStore(
        settings.jobs_redis_url,
        result_ttl=settings.job_result_ttl,
        caching=settings.enable_cache,
        files=ResultFiles(recordings, settings) if recordings else None,
    )
