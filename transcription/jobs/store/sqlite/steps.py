"""The base of the parts of the SQLite store: the database, the time, and the execution of steps."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from transcription.core.transcript import Transcript
from transcription.jobs import policy
from transcription.jobs.job import Job
from transcription.jobs.store.base import LeaseLost
from transcription.jobs.store.rows import pack_transcript, shown_job, unpack_transcript
from transcription.jobs.store.sqlite import queries
from transcription.jobs.store.sqlite.database import Database

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

    async def _claim(self, query: str, values: dict[str, Any]) -> Job | None:
        values = self._parameters() | values

        def step(db: sqlite3.Connection) -> Job | None:
            row = first_row(db, query, values)
            return existing(db, row["id"]) if row else None

        return await self._database.write(step)

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
        def step(db: sqlite3.Connection) -> bytes | None:
            row = first_row(db, query, values)
            return row["transcript"] if row else None

        packed = await self._database.read(step)
        # In another thread: the readers of the database are few, and hours of speech take a while.
        return await asyncio.to_thread(unpack_transcript, packed) if packed is not None else None

    async def _packed(self, work: str, transcript: Transcript) -> dict[str, Any]:
        # Compressing hours of speech takes a while: in a thread of its own, so that the writer is not blocked.
        packed = await asyncio.to_thread(pack_transcript, transcript)
        return self._parameters() | {"work": work, "duration": transcript.duration, "transcript": packed}


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
