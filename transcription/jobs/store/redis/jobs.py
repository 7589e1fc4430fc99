"""Commands and queries of clients."""

from __future__ import annotations

import statistics
from collections.abc import Collection

from transcription.core.errors import ResultUnavailable
from transcription.core.transcript import Transcript
from transcription.jobs.job import Ahead, Job, JobCounts, JobSnapshot, JobStatus, NewJob
from transcription.jobs.store.base import idempotency_conflict, too_many_jobs
from transcription.jobs.store.redis.rows import fields_of, job_of, number_or_none
from transcription.jobs.store.redis.steps import RedisSteps
from transcription.jobs.store.rows import own_key

TOO_MANY = b"too many"


class RedisJobs(RedisSteps):
    """As `transcription.jobs.store.base.Jobs`."""

    async def submit(self, new: NewJob, max_open: int | None = None) -> tuple[Job, bool]:
        caching = self._caching
        if caching:
            try:
                await self._transcript("cached", work=new.work)  # what it deletes would complete this job
            except ResultUnavailable:
                caching = False  # so would what it cannot read: the recording is transcribed again
        outcome, shown = await self._replicated_step(
            "submit",
            fields=fields_of(new),
            recording_name=new.recording.name,
            caching=caching,
            max_open=max_open,
        )
        if outcome == TOO_MANY:
            raise too_many_jobs(max_open)
        if outcome == b"conflict":
            raise idempotency_conflict(job_of(shown).id)
        return job_of(shown), outcome == b"new"

    async def check_open(self, caller: str, max_open: int | None, idempotency_key: str | None = None) -> None:
        key = own_key(caller, idempotency_key)
        if await self._step("is_full", caller=caller, max_open=max_open, idempotency_key=key):
            raise too_many_jobs(max_open)

    async def get(self, job_id: str) -> Job | None:
        shown = await self._step_of_job("get", job_id)
        return job_of(shown) if shown else None

    async def list_jobs(
        self, statuses: Collection[JobStatus], before: int | None, limit: int, caller: str | None = None
    ) -> list[Job]:
        names = [status.value for status in statuses]
        page = await self._step("list", statuses=names, before=before, limit=limit, caller=caller)
        return [job_of(shown) for shown in page]

    async def snapshot(self, job_id: str) -> JobSnapshot | None:
        """As `Jobs.snapshot`, with the order of `claim_for_message`.

        With more than 500 jobs ahead, their seconds are extrapolated from 500. With more than 500 queued jobs, those
        that share the work of an older one count as well.
        """
        found = await self._step_of_job("snapshot", job_id)
        if not found:
            return None
        shown, count, seconds, unknown, processing, speeds = found
        known = [speed for speed in map(number_or_none, speeds) if speed]
        speed = statistics.median(known) if known else None
        return JobSnapshot(job_of(shown), Ahead(count, float(seconds), unknown), speed, processing)

    async def count(self) -> JobCounts:
        flat, oldest = await self._step("count")
        counts = {JobStatus(name.decode()): count for name, count in zip(flat[::2], flat[1::2], strict=True)}
        kept = {status: count for status, count in counts.items() if count}
        return JobCounts(kept, None if oldest is None else float(oldest))

    async def cancel(self, job_id: str) -> Job | None:
        shown = await self._replicated_step("cancel", id=job_id)
        return job_of(shown) if shown else None

    async def retry(self, job_id: str, max_open: int | None = None) -> Job | None:
        job = await self.get(job_id)
        if job is None or not job.readable:
            return job
        shown = await self._replicated_step("retry", id=job_id, max_open=max_open)
        if shown == TOO_MANY:
            raise too_many_jobs(max_open)
        return job_of(shown) if shown else None

    async def delete(self, job_id: str) -> None:
        job = await self.get(job_id)
        if job and not job.readable:  # whatever its stored status, it is shown as failed
            await self._fail_unreadable(job)
        unused = await self._step("delete", id=job_id)
        if self._files:
            await self._files.remove([name.decode() for name in unused])

    async def result(self, job_id: str) -> Transcript | None:
        return await self._transcript("result", id=job_id)
