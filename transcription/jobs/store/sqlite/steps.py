"""The base of the parts of the SQLite store: the database, the time, and the execution of steps."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import structlog

from transcription.core.errors import Failure
from transcription.core.transcript import Transcript
from transcription.jobs import policy
from transcription.jobs.job import Job
from transcription.jobs.store.base import LeaseLost
from transcription.jobs.store.rows import pack_failure, pack_transcript, shown_job, unpack_transcript
from transcription.jobs.store.sqlite import queries
from transcription.jobs.store.sqlite.database import Database
from transcription.jobs.store.unreadable import READ_ERRORS, reason_of, seconds, unreadable_result

log = structlog.get_logger(__name__)

Values = dict[str, Any] | tuple[Any, ...]


class SqliteSteps:
    """Runs steps on one database. The parts of the store derive from it."""

    def __init__(
        self, folder: Path, *, result_ttl: float, caching: bool = True, clock: Callable[[], float] = time.time
    ) -> None:
        """Open folder/jobs.sqlite3, or create it. Blocks: checking a database takes about one second per GB.

        result_ttl: seconds for which finished jobs and results are kept. caching: whether a stored result answers
        later identical requests. clock: seconds since the epoch. Raises DamagedStore, ServiceUnavailable.
        """
        self._database = Database(folder)
        self._ttl = result_ttl
        self._caching = caching
        self._clock = clock

    def _parameters(self) -> dict[str, Any]:
        """Named parameters of the queries: the policy, the time, and the expiry of what ends now."""
        now = self._clock()
        return policy.STORE_POLICY | {"now": now, "expires_at": now + self._ttl}

    def _fail_unreadable(self, db: sqlite3.Connection, job: Job) -> None:
        """Fail a job that cannot be read, unless it has failed already. By its number: its id may be damaged."""
        assert job.failure is not None
        values = self._parameters() | {"number": job.number, "failure": pack_failure(job.failure)}
        if execute(db, queries.FAIL_UNREADABLE, values):
            log.error("unreadable_job", job_id=job.id, reason=job.failure.detail)

    async def _change(
        self, lease: Job, query: str, values: dict[str, Any], then: str | None = None, *, durable: bool = False
    ) -> None:
        """Run `query`, which changes the leased job, and then `then`. Raises LeaseLost."""
        values = self._parameters() | values | {"id": lease.id, "work": lease.work, "attempt": lease.attempt}

        def step(db: sqlite3.Connection) -> None:
            if not execute(db, query, values):
                raise LeaseLost(lease.id)
            if then:
                db.execute(then, values)

        await self._database.write(step, durable=durable)

    async def _transcript(self, query: str, values: dict[str, Any]) -> Transcript | None:
        """The transcript of a result. One that cannot be read is deleted, and every job that shows it fails."""
        row = await self._database.read(lambda db: first_row(db, query, values))
        if row is None:
            return None
        try:
            # In another thread: the readers of the database are few, and hours of speech take a while.
            return await asyncio.to_thread(_transcript_of, row)
        except READ_ERRORS as error:
            await self._drop_result(int(row["id"]), unreadable_result(reason_of(error)))
            return None

    async def _drop_result(self, result: int, failure: Failure) -> None:
        values = {"result": result, "failure": pack_failure(failure)}

        def step(db: sqlite3.Connection) -> None:
            db.execute(queries.FAIL_JOBS_OF_RESULT, values)
            db.execute(queries.DROP_RESULT, values)

        await self._database.write(step, durable=True)
        log.error("unreadable_result", reason=failure.detail)

    async def _packed(self, work: str, transcript: Transcript) -> dict[str, Any]:
        # Compressing hours of speech takes a while: in a thread of its own, so that the writer is not blocked.
        packed = await asyncio.to_thread(pack_transcript, transcript)
        return self._parameters() | {"work": work, "duration": transcript.duration, "transcript": packed}


def _transcript_of(row: sqlite3.Row) -> Transcript:
    seconds(row["duration"])  # a job that this result completes gets it
    return unpack_transcript(row["transcript"])


def claimed(db: sqlite3.Connection, query: str, values: Values) -> Job | None:
    """The job whose number `query` returns."""
    row = first_row(db, query, values)
    return by_number(db, row["number"]) if row else None


def by_number(db: sqlite3.Connection, number: int) -> Job:
    return shown_job(only_row(db, queries.SHOWN_JOB_BY_NUMBER, (number,)))


def first_row(db: sqlite3.Connection, query: str, values: Values) -> sqlite3.Row | None:
    # All rows are fetched, because an unfinished statement keeps its snapshot of the database open.
    rows: list[sqlite3.Row] = db.execute(query, values).fetchall()
    return rows[0] if rows else None


def only_row(db: sqlite3.Connection, query: str, values: Values) -> sqlite3.Row:
    row = first_row(db, query, values)
    assert row is not None
    return row


def execute(db: sqlite3.Connection, query: str, values: Values) -> int:
    """The number of changed rows."""
    return db.execute(query, values).rowcount


def insert(db: sqlite3.Connection, query: str, values: Values) -> int:
    """The key of the new row."""
    key = db.execute(query, values).lastrowid
    assert key is not None
    return key


def shown(db: sqlite3.Connection, job_id: str) -> Job | None:
    row = first_row(db, queries.SHOWN_JOB, (job_id,))
    return shown_job(row) if row else None


def existing(db: sqlite3.Connection, job_id: str) -> Job:
    return shown_job(only_row(db, queries.SHOWN_JOB, (job_id,)))
