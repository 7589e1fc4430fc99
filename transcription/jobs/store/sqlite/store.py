"""Jobs in one SQLite file: several processes of one machine share it, and nothing has to be installed."""

from __future__ import annotations

import asyncio
import sqlite3
import statistics
import time
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Any

from transcription.core.errors import Failure
from transcription.core.transcript import PlacedResult, Transcript
from transcription.jobs import policy
from transcription.jobs.job import Ahead, Census, Delivery, Job, JobSnapshot, JobStatus, NewJob
from transcription.jobs.store.base import LeaseLost, key_of_another
from transcription.jobs.store.rows import (
    PLACED,
    RECORDING,
    pack_failure,
    pack_transcript,
    row_of,
    shown_job,
    unpack_transcript,
)
from transcription.jobs.store.sqlite import queries
from transcription.jobs.store.sqlite.database import Database

EXPIRED_AT_ONCE = 100  # jobs deleted in one transaction, so that other writers get their turn


class SqliteStore:
    """`transcription.jobs.store.base.JobStore` in folder/jobs.sqlite3."""

    def __init__(
        self, folder: Path, *, result_ttl: float, caching: bool = True, clock: Callable[[], float] = time.time
    ) -> None:
        """Open the store, or make it. It blocks: checking a database takes about a second a GB.

        result_ttl: seconds that finished jobs and results are kept. caching: whether a result answers who asks the same
        after the work is done. clock: seconds since the epoch.
        Raises DamagedStore.
        """
        self._database = Database(folder)
        self._ttl = result_ttl
        self._caching = caching
        self._clock = clock

    # The client's side

    async def submit(self, new: NewJob) -> tuple[Job, bool]:
        values = self._times() | row_of(new)

        def step(db: sqlite3.Connection) -> tuple[Job, bool]:
            earlier = _row(db, "SELECT id, fingerprint FROM jobs WHERE idempotency_key = :idempotency_key", values)
            if earlier and earlier["fingerprint"] != new.fingerprint:
                raise key_of_another(earlier["id"])
            if earlier:
                return _existing(db, earlier["id"]), False
            if not self._caching:  # nor do the windows of work that is done answer anybody
                db.execute(queries.DROP_WINDOWS_UNLESS_UNFINISHED, values)
            db.execute(queries.SUBMIT, values)
            result = _row(db, queries.VALID_RESULT, values) if self._caching else None
            if result:
                done = values | {"result": result["id"], "duration": result["duration"]}
                db.execute(queries.COMPLETE_FROM_RESULT, done)
            return _existing(db, new.id), True

        return await self._database.write(step, durable=True)

    async def get(self, job_id: str) -> Job | None:
        return await self._database.read(lambda db: _shown(db, job_id))

    async def list_jobs(self, statuses: Collection[JobStatus], before: int | None, limit: int) -> list[Job]:
        query = queries.list_jobs(len(statuses), before is not None)
        values = (*statuses, *(() if before is None else (before,)), limit)
        return await self._database.read(lambda db: [shown_job(row) for row in db.execute(query, values).fetchall()])

    async def snapshot(self, job_id: str) -> JobSnapshot | None:
        def step(db: sqlite3.Connection) -> JobSnapshot | None:
            job = _shown(db, job_id)
            if job is None:
                return None
            ahead = _one(db, queries.AHEAD, {"work": job.work, "number": job.number})
            speeds = [row["speed"] for row in db.execute(queries.LATEST_SPEEDS, policy.STORE_POLICY).fetchall()]
            speed = statistics.median(speeds) if speeds else None
            processing = _one(db, queries.COUNT_PROCESSING, {})["jobs"]
            return JobSnapshot(job, Ahead(ahead["jobs"], ahead["seconds"], ahead["unknown"]), speed, processing)

        return await self._database.read(step)

    async def census(self) -> Census:
        def step(db: sqlite3.Connection) -> Census:
            rows = db.execute(queries.CENSUS).fetchall()
            oldest = {row["status"]: row["oldest"] for row in rows}
            counts = {JobStatus(row["status"]): row["jobs"] for row in rows}
            return Census(counts, oldest.get(JobStatus.QUEUED.value))

        return await self._database.read(step)

    async def cancel(self, job_id: str) -> Job | None:
        values = self._times() | {"id": job_id}

        def step(db: sqlite3.Connection) -> Job | None:
            db.execute(queries.CANCEL, values)
            return _shown(db, job_id)

        return await self._database.write(step, durable=True)

    async def retry(self, job_id: str) -> Job | None:
        def step(db: sqlite3.Connection) -> Job | None:
            row = _row(db, "SELECT status, work, result FROM jobs WHERE id = ?", (job_id,))
            if row is None or row["status"] not in (JobStatus.FAILED, JobStatus.COMPLETED):
                return _shown(db, job_id)
            if row["status"] == JobStatus.COMPLETED:
                # Somebody else who does the same work just now goes on from its windows, and this job joins.
                db.execute(queries.DROP_WINDOWS_UNLESS_UNFINISHED, {"work": row["work"]})
            db.execute(queries.RETRY, {"id": job_id, "work": row["work"]})
            db.execute(queries.DROP_RESULT_UNLESS_USED, (row["result"],))
            return _existing(db, job_id)

        return await self._database.write(step, durable=True)

    async def delete(self, job_id: str) -> None:
        def step(db: sqlite3.Connection) -> None:
            for row in db.execute(queries.DELETE, (job_id,)).fetchall():
                db.execute(queries.DROP_RESULT_UNLESS_USED, (row["result"],))
                db.execute(queries.DROP_WINDOWS_UNLESS_WANTED, {"work": row["work"]})

        await self._database.write(step, durable=True)

    async def result(self, job_id: str) -> Transcript | None:
        return await self._transcript(queries.RESULT_OF_JOB, {"id": job_id})

    # Work done for somebody who waits

    async def cached(self, work: str) -> Transcript | None:
        if not self._caching:
            return None
        return await self._transcript(queries.VALID_RESULT, self._times() | {"work": work})

    async def remember(self, work: str, transcript: Transcript) -> None:
        if not self._caching:
            return
        values = await self._packed(work, transcript)
        await self._database.write(lambda db: _insert(db, queries.KEEP_RESULT, values))

    # The worker's side

    async def claim(self, owner: str, job_id: str | None = None) -> Job | None:
        return await self._claim(queries.CLAIM, {"owner": owner, "id": job_id})

    async def renew(self, lease: Job) -> None:
        await self._change(lease, queries.RENEW, {})

    async def examined(self, job_id: str, seconds: float | None) -> None:
        values = {"id": job_id, "seconds": seconds}
        await self._database.write(lambda db: _execute(db, queries.EXAMINED, values))

    async def checkpoint(self, lease: Job, position: int, placed: PlacedResult, total: float | None) -> None:
        values = {"position": position, "done": placed.timeline.end, "placed": PLACED.pack(placed), "total": total}
        await self._change(lease, queries.PROGRESS, values, queries.KEEP_WINDOW)

    async def checkpoints(self, work: str, start: int = 0) -> Sequence[PlacedResult]:
        def step(db: sqlite3.Connection) -> list[PlacedResult]:
            return [PLACED.unpack(row["placed"]) for row in db.execute(queries.WINDOWS, (work, start)).fetchall()]

        return await self._database.read(step)

    async def complete(self, lease: Job, transcript: Transcript) -> None:
        values = await self._packed(lease.work, transcript) | {"id": lease.id, "attempt": lease.attempt}

        def step(db: sqlite3.Connection) -> None:
            result = {"result": _insert(db, queries.KEEP_RESULT, values)}
            if not _execute(db, queries.COMPLETE, values | result):
                raise LeaseLost(lease.id)
            db.execute(queries.COMPLETE_FOLLOWERS, values | result)

        await self._database.write(step, durable=True)

    async def fail(self, lease: Job, failure: Failure) -> None:
        await self._change(lease, queries.FAIL, {"failure": pack_failure(failure)}, durable=True)

    async def postpone(self, lease: Job, delay: float) -> None:
        due = self._clock() + min(delay, policy.MAX_POSTPONEMENT)
        await self._change(lease, queries.REQUEUE, {"not_before": due, "failures": 1})

    async def release(self, lease: Job) -> None:
        await self._change(lease, queries.REQUEUE, {"not_before": 0.0, "failures": 0})

    async def refuse(self, job_id: str, failure: Failure) -> bool:
        values = self._times() | {"id": job_id, "failure": pack_failure(failure)}
        return await self._database.write(lambda db: _execute(db, queries.REFUSE, values), durable=True) > 0

    # Webhooks

    async def claim_delivery(self, lease_seconds: float) -> Job | None:
        due_again = self._clock() + min(lease_seconds, policy.MAX_DELIVERY_WAIT)
        return await self._claim(queries.CLAIM_DELIVERY, {"due_again": due_again})

    async def settle_delivery(self, job_id: str, delivery: Delivery) -> None:
        latest = self._clock() + policy.MAX_DELIVERY_WAIT
        values = {
            "id": job_id,
            "attempts": delivery.attempts,
            "state": delivery.state,
            "next_at": None if delivery.next_at is None else min(delivery.next_at, latest),
            "detail": delivery.detail,
        }
        await self._database.write(lambda db: _execute(db, queries.SETTLE_DELIVERY, values))

    # Housekeeping

    async def expire(self) -> None:
        values = self._times() | {"limit": EXPIRED_AT_ONCE}

        def step(db: sqlite3.Connection) -> int:
            expired = db.execute(queries.EXPIRE_JOBS, values).fetchall()
            for row in expired:
                db.execute(queries.DROP_WINDOWS_UNLESS_WANTED, {"work": row["work"]})
            return len(expired) + _execute(db, queries.EXPIRE_RESULTS, values)

        while await self._database.write(step):
            pass

    async def recordings_in_use(self) -> frozenset[str]:
        def step(db: sqlite3.Connection) -> frozenset[str]:
            rows = db.execute(queries.RECORDINGS_IN_USE).fetchall()
            return frozenset(RECORDING.unpack(row["recording"]).name for row in rows)

        return await self._database.read(step)

    async def back_up(self) -> None:
        await self._database.back_up(self._clock())

    async def close(self) -> None:
        await self._database.close()

    def _times(self) -> dict[str, Any]:
        """What the queries of `queries.py` need to know about time."""
        now = self._clock()
        return policy.STORE_POLICY | {"now": now, "expires_at": now + self._ttl}

    async def _claim(self, query: str, values: dict[str, Any]) -> Job | None:
        values = self._times() | values

        def step(db: sqlite3.Connection) -> Job | None:
            row = _row(db, query, values)
            return _existing(db, row["id"]) if row else None

        return await self._database.write(step)

    async def _change(
        self, lease: Job, query: str, values: dict[str, Any], then: str | None = None, *, durable: bool = False
    ) -> None:
        """Run `query`, which changes the job of a valid lease, and `then`. Raises LeaseLost."""
        values = self._times() | values | {"id": lease.id, "work": lease.work, "attempt": lease.attempt}

        def step(db: sqlite3.Connection) -> None:
            if not _execute(db, query, values):
                raise LeaseLost(lease.id)
            if then:
                db.execute(then, values)

        await self._database.write(step, durable=durable)

    async def _transcript(self, query: str, values: dict[str, Any]) -> Transcript | None:
        def step(db: sqlite3.Connection) -> Transcript | None:
            row = _row(db, query, values)
            return unpack_transcript(row["transcript"]) if row else None

        return await self._database.read(step)

    async def _packed(self, work: str, transcript: Transcript) -> dict[str, Any]:
        # Hours of speech take a while to compress: in a thread, and not while others wait to write.
        packed = await asyncio.to_thread(pack_transcript, transcript)
        return self._times() | {"work": work, "duration": transcript.duration, "transcript": packed}


Values = dict[str, Any] | tuple[Any, ...]


def _row(db: sqlite3.Connection, query: str, values: Values) -> sqlite3.Row | None:
    # All of them are fetched: a statement that is not finished keeps its view of the database open.
    rows: list[sqlite3.Row] = db.execute(query, values).fetchall()
    return rows[0] if rows else None


def _one(db: sqlite3.Connection, query: str, values: Values) -> sqlite3.Row:
    row = _row(db, query, values)
    assert row is not None
    return row


def _execute(db: sqlite3.Connection, query: str, values: Values) -> int:
    """How many rows were changed."""
    return db.execute(query, values).rowcount


def _insert(db: sqlite3.Connection, query: str, values: Values) -> int:
    """The new row's key."""
    key = db.execute(query, values).lastrowid
    assert key is not None
    return key


def _shown(db: sqlite3.Connection, job_id: str) -> Job | None:
    row = _row(db, queries.SHOWN_JOB, (job_id,))
    return shown_job(row) if row else None


def _existing(db: sqlite3.Connection, job_id: str) -> Job:
    return shown_job(_one(db, queries.SHOWN_JOB, (job_id,)))
