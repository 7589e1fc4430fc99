"""Commands and queries of clients."""

from __future__ import annotations

import sqlite3
import statistics
from collections import Counter
from collections.abc import Collection

from transcription.core.transcript import Transcript
from transcription.jobs import policy
from transcription.jobs.job import NOTHING_AHEAD, Job, JobCounts, JobSnapshot, JobStatus, NewJob
from transcription.jobs.store.base import idempotency_conflict, too_many_jobs
from transcription.jobs.store.rows import own_key, pack_failure, row_of, shown_job
from transcription.jobs.store.sqlite import queries
from transcription.jobs.store.sqlite.places import ahead_of
from transcription.jobs.store.sqlite.steps import SqliteSteps, execute, existing, first_row, only_row, shown
from transcription.jobs.store.unreadable import unreadable_result

_STATUSES = frozenset(JobStatus)


class SqliteJobs(SqliteSteps):
    """As `transcription.jobs.store.base.Jobs`."""

    async def submit(self, new: NewJob, max_open: int | None = None) -> tuple[Job, bool]:
        values = self._parameters() | row_of(new)
        if self._caching:  # what it deletes would complete this job
            await self._transcript(queries.VALID_RESULT, values)

        def step(db: sqlite3.Connection) -> tuple[Job, bool]:
            earlier = first_row(db, queries.JOB_WITH_KEY, values)
            if earlier and earlier["fingerprint"] != new.fingerprint:
                raise idempotency_conflict(earlier["id"])
            if earlier:
                return existing(db, earlier["id"]), False
            result = first_row(db, queries.VALID_RESULT, values) if self._caching else None
            if not result:
                _check_room(db, new.caller, max_open)
            if not self._caching:  # finished windows are not reused either
                db.execute(queries.DROP_WINDOWS_UNLESS_UNFINISHED, values)
            db.execute(queries.SUBMIT, values)
            if result:
                done = values | {"result": result["id"], "duration": result["duration"]}
                db.execute(queries.COMPLETE_FROM_RESULT, done)
            return existing(db, new.id), True

        return await self._database.write(step, durable=True)

    async def check_open(self, caller: str, max_open: int | None, idempotency_key: str | None = None) -> None:
        def step(db: sqlite3.Connection) -> None:
            if not first_row(db, queries.JOB_WITH_KEY, {"idempotency_key": own_key(caller, idempotency_key)}):
                _check_room(db, caller, max_open)

        await self._database.read(step)

    async def get(self, job_id: str) -> Job | None:
        return await self._database.read(lambda db: shown(db, job_id))

    async def list_jobs(
        self, statuses: Collection[JobStatus], before: int | None, limit: int, caller: str | None = None
    ) -> list[Job]:
        query = queries.list_jobs(len(statuses), before is not None, caller is not None)
        values = (*statuses, *(value for value in (before, caller) if value is not None), limit)
        return await self._database.read(lambda db: [shown_job(row) for row in db.execute(query, values).fetchall()])

    async def snapshot(self, job_id: str) -> JobSnapshot | None:
        def step(db: sqlite3.Connection) -> JobSnapshot | None:
            job = shown(db, job_id)
            if job is None:
                return None
            ahead = NOTHING_AHEAD
            if job.status is JobStatus.QUEUED:
                ahead = ahead_of(db, job.work)
            speeds = [row["speed"] for row in db.execute(queries.LATEST_SPEEDS, policy.STORE_POLICY).fetchall()]
            speed = statistics.median(speeds) if speeds else None
            processing = only_row(db, queries.COUNT_PROCESSING, {})["jobs"]
            return JobSnapshot(job, ahead, speed, processing)

        return await self._database.read(step)

    async def count(self) -> JobCounts:
        def step(db: sqlite3.Connection) -> JobCounts:
            rows = db.execute(queries.COUNT_BY_STATUS).fetchall()
            oldest = {row["status"]: row["oldest"] for row in rows}
            counts: Counter[JobStatus] = Counter()
            for row in rows:
                # A status that this version does not know is that of a job that cannot be read.
                counts[JobStatus(row["status"]) if row["status"] in _STATUSES else JobStatus.FAILED] += row["jobs"]
            return JobCounts(counts, oldest.get(JobStatus.QUEUED.value))

        return await self._database.read(step)

    async def cancel(self, job_id: str) -> Job | None:
        values = self._parameters() | {"id": job_id}

        def step(db: sqlite3.Connection) -> Job | None:
            db.execute(queries.CANCEL, values)
            return shown(db, job_id)

        return await self._database.write(step, durable=True)

    async def retry(self, job_id: str, max_open: int | None = None) -> Job | None:
        def step(db: sqlite3.Connection) -> Job | None:
            row = first_row(db, "SELECT status, work, result, caller FROM jobs WHERE id = ?", (job_id,))
            job = shown(db, job_id)
            if row is None or job is None or not job.readable:
                return job
            if row["status"] not in (JobStatus.FAILED, JobStatus.COMPLETED):
                return job
            _check_room(db, row["caller"], max_open)
            if row["status"] == JobStatus.COMPLETED:
                # If the same work is being done for another job, it needs the windows, and this job joins it.
                db.execute(queries.DROP_WINDOWS_UNLESS_UNFINISHED, {"work": row["work"]})
            db.execute(queries.RETRY, {"id": job_id, "work": row["work"]})
            db.execute(queries.DROP_RESULT_UNLESS_USED, (row["result"],))
            return existing(db, job_id)

        return await self._database.write(step, durable=True)

    async def delete(self, job_id: str) -> None:
        def step(db: sqlite3.Connection) -> None:
            job = shown(db, job_id)
            if job and not job.readable:  # whatever its stored status, it is shown as failed
                self._fail_unreadable(db, job)
            for row in db.execute(queries.DELETE, (job_id,)).fetchall():
                db.execute(queries.DROP_RESULT_UNLESS_USED, (row["result"],))
                db.execute(queries.DROP_WINDOWS_UNLESS_WANTED, {"work": row["work"]})

        await self._database.write(step, durable=True)

    async def result(self, job_id: str) -> Transcript | None:
        found = await self._transcript(queries.RESULT_OF_JOB, {"id": job_id})
        if found is None:
            values = {"id": job_id, "failure": pack_failure(unreadable_result("it is missing"))}
            await self._database.write(lambda db: execute(db, queries.FAIL_WITHOUT_RESULT, values), durable=True)
        return found


def _check_room(db: sqlite3.Connection, caller: str, max_open: int | None) -> None:
    """Raise TooManyJobs if the caller has `max_open` unfinished jobs."""
    if max_open is not None and only_row(db, queries.COUNT_UNFINISHED, {"caller": caller})["jobs"] >= max_open:
        raise too_many_jobs(max_open)
