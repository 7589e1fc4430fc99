"""Jobs that this version cannot read, as another version or a damaged disk leaves them in a store."""

from __future__ import annotations

import asyncio
import sqlite3
import uuid
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import redis

from transcription.core.options import DecodeOptions, TranscriptionRequest, VadOptions
from transcription.jobs.job import NewJob, Recording
from transcription.jobs.store.base import JobStore
from transcription.jobs.store.redis.steps import PREFIX
from transcription.jobs.store.redis.store import RedisStore
from transcription.jobs.store.sqlite.database import DATABASE_NAME
from transcription.jobs.store.sqlite.store import SqliteStore

UNREADABLE = "unreadable_job"
# One column of each job, and what stands there.
DAMAGES = {
    "request": '[{"decode":{"model":"demo","speakers":2},"vad":{}}]',
    "recording": "[{",
    "status": "paused",
    "created_at": "yesterday",
    "layout": "null",
    "response_format": "docx",
}
RESULT_TTL = 86_400.0  # seconds


def put_in_sqlite(folder: Path) -> list[str]:
    """Ids of the bad jobs. folder: JOBS_DIR, in use by a service or not."""

    def damage(job_id: str, column: str, value: str) -> None:
        with closing(sqlite3.connect(folder / DATABASE_NAME, timeout=60)) as connection, connection:
            connection.execute(f"UPDATE jobs SET {column} = ? WHERE id = ?", (value, job_id))

    return _put(SqliteStore(folder, result_ttl=RESULT_TTL), damage)


def put_in_redis(url: str) -> list[str]:
    """Ids of the bad jobs."""
    with redis.Redis.from_url(url) as client:

        def damage(job_id: str, column: str, value: str) -> None:
            client.hset(f"{PREFIX}:job:{job_id}", column, value)

        return _put(RedisStore(url, result_ttl=RESULT_TTL), damage)


def _put(store: JobStore, damage: Callable[[str, str, str], None]) -> list[str]:
    async def submit() -> list[str]:
        jobs = [_job(str(uuid.uuid4())) for _ in DAMAGES]
        for job in jobs:
            await store.submit(job)
        await store.close()
        return [job.id for job in jobs]

    ids = asyncio.run(submit())
    for job_id, (column, value) in zip(ids, DAMAGES.items(), strict=True):
        damage(job_id, column, value)
    return ids


def _job(job_id: str) -> NewJob:
    request = TranscriptionRequest(DecodeOptions("demo"), VadOptions())
    return NewJob(job_id, job_id, request, Recording(job_id, "0" * 64, 1, "a.wav"), "json", job_id)
