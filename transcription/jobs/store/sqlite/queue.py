"""Claims, leases and attempts of workers."""

from __future__ import annotations

import sqlite3
from typing import Any

from transcription.core.errors import Failure
from transcription.core.transcript import PlacedResult, Transcript
from transcription.jobs import policy
from transcription.jobs.job import Job
from transcription.jobs.store.base import LeaseLost
from transcription.jobs.store.rows import PLACED, pack_failure
from transcription.jobs.store.sqlite import queries
from transcription.jobs.store.sqlite.steps import SqliteSteps, by_number, execute, first_row, insert, only_row


class SqliteQueue(SqliteSteps):
    """As `transcription.jobs.store.base.Queue`."""

    async def claim(self, owner: str, job_id: str | None = None) -> Job | None:
        values = self._parameters() | {"owner": owner, "id": job_id}

        def step(db: sqlite3.Connection) -> Job | None:
            job = self._claim(db, values)
            while job and not job.readable:
                self._fail_unreadable(db, job)
                job = self._claim(db, values)
            return job

        return await self._database.write(step)

    def _claim(self, db: sqlite3.Connection, values: dict[str, Any]) -> Job | None:
        candidates = (queries.GIVEN,) if values["id"] else (queries.LOST, queries.NEXT)
        found = next((row for query in candidates if (row := first_row(db, query, values))), None)
        if found is None:
            return None
        claimed = only_row(db, queries.CLAIM, values | {"number": found["number"]})
        db.execute(queries.COUNT_TURN, {"caller": claimed["caller"]})
        return by_number(db, found["number"])

    async def renew(self, lease: Job) -> None:
        await self._change(lease, queries.RENEW, {})

    async def examined(self, job_id: str, seconds: float | None) -> None:
        values = {"id": job_id, "seconds": seconds}
        await self._database.write(lambda db: execute(db, queries.EXAMINED, values))

    async def checkpoint(self, lease: Job, position: int, placed: PlacedResult, total: float | None) -> None:
        values = {"position": position, "done": placed.timeline.end, "placed": PLACED.pack(placed), "total": total}
        await self._change(lease, queries.PROGRESS, values, queries.KEEP_WINDOW)

    async def drop_checkpoints(self, lease: Job, position: int) -> None:
        await self._change(lease, queries.RENEW, {"position": position}, queries.DROP_WINDOWS_FROM)

    async def complete(self, lease: Job, transcript: Transcript) -> None:
        values = await self._packed(lease.work, transcript) | {"id": lease.id, "attempt": lease.attempt}

        def step(db: sqlite3.Connection) -> None:
            result = {"result": insert(db, queries.KEEP_RESULT, values)}
            if not execute(db, queries.COMPLETE, values | result):
                raise LeaseLost(lease.id)
            db.execute(queries.COMPLETE_FOLLOWERS, values | result)

        await self._database.write(step, durable=True)

    async def fail(self, lease: Job, failure: Failure) -> None:
        await self._change(lease, queries.FAIL, {"failure": pack_failure(failure)}, durable=True)

    async def postpone(self, lease: Job, delay: float, *, counted: bool = True) -> None:
        due = self._clock() + min(delay, policy.MAX_POSTPONEMENT)
        await self._change(lease, queries.REQUEUE, {"not_before": due, "failures": int(counted)})

    async def release(self, lease: Job) -> None:
        await self._change(lease, queries.REQUEUE, {"not_before": 0.0, "failures": 0})

    async def refuse(self, job_id: str, failure: Failure) -> bool:
        values = self._parameters() | {"id": job_id, "failure": pack_failure(failure)}
        return await self._database.write(lambda db: execute(db, queries.REFUSE, values), durable=True) > 0
