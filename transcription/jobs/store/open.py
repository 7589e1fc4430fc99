"""Opens the job store chosen by the settings."""

from __future__ import annotations

from typing import TYPE_CHECKING

from transcription.core.settings import Settings
from transcription.jobs.recordings.open import open_recordings
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


def open_shared_store(settings: Settings, *, with_results: bool = False) -> RedisStore:
    """The store that all machines share. with_results: whether transcripts are stored or read.

    Large ones are in the recording store. It is opened for them alone, because transfers of recordings may occupy all
    its threads for longer than a transcript may take. Raises InvalidSettings, ServiceUnavailable.
    """
    # Imported here, because the client of Redis takes 0.3 s of CPU to import and only clusters need it.
    from transcription.jobs.store.redis.store import RedisStore

    return RedisStore(
        settings.jobs_redis_url,
        result_ttl=settings.job_result_ttl,
        caching=settings.enable_cache,
        files=ResultFiles(open_recordings(settings), settings) if with_results else None,
    )
