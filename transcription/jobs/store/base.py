"""The interface of a job store, in six parts, one per kind of caller.

Every method except `expire` is one atomic step. A step that has returned survives a crash of the process; the
acceptance and the end of a job survive a crash of the machine, too. Every method raises ServiceUnavailable when the
store cannot be used; nothing has changed then, except that after OutcomeUnknown the step may have been done.

A stored job that cannot be read, because another version wrote it or because it is damaged, disturbs no other job:
queries show it as failed, with the reason (`Job.readable`), and the first step that would change it fails it for good.

`work` is the key by which jobs share a run: the request key (`transcription.pipeline.request_key`), or the job's own
id if the job is private. Times are seconds since the epoch. The lease, postponements and other limits are in
`transcription.jobs.policy`.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Protocol

from transcription.core.errors import Failure, IdempotencyConflict, TooManyJobs
from transcription.core.transcript import PlacedResult, Transcript
from transcription.jobs.job import Delivery, Job, JobCounts, JobSnapshot, JobStatus, NewJob, Version

TOO_MANY_RETRY_SECONDS = 30.0  # until a client with too many jobs should try again


class LeaseLost(Exception):
    """The attempt no longer owns the job: the job was cancelled, or another process took it over."""


def idempotency_conflict(job_id: str) -> IdempotencyConflict:
    """The error for an idempotency key that belongs to a different submission, which created the job `job_id`."""
    return IdempotencyConflict(
        "This Idempotency-Key was used for another submission. Send a new key with a new request.",
        f"The key belongs to job {job_id}.",
    )


def too_many_jobs(max_open: int | None) -> TooManyJobs:
    """The error for a caller that has `max_open` unfinished jobs."""
    return TooManyJobs(
        f"You have {max_open} unfinished jobs, the maximum (MAX_OPEN_JOBS). Wait until one has finished, or cancel "
        "one.",
        retry_after=TOO_MANY_RETRY_SECONDS,
    )


class Jobs(Protocol):
    """Commands and queries of clients.

    A queued job whose work is being done for another job, the leader, is shown as processing, with the leader's
    progress.
    """

    async def submit(self, new: NewJob, max_open: int | None = None) -> tuple[Job, bool]:
        """Accept a job durably. Returns the job and whether it is new.

        An idempotency key that the same caller used before returns the earlier job. A job whose work has an unexpired
        result is completed at once. Raises IdempotencyConflict when the key was used with another fingerprint, and
        TooManyJobs when the caller has `max_open` unfinished jobs and this would be another one.
        """
        ...

    async def check_open(self, caller: str, max_open: int | None, idempotency_key: str | None = None) -> None:
        """Raise TooManyJobs if the caller has `max_open` unfinished jobs, unless it has a job with the idempotency key.

        `submit` checks again, exactly: it also accepts a job that has a result already.
        """
        ...

    async def get(self, job_id: str) -> Job | None:
        """The job, None if there is none with this id."""
        ...

    async def list_jobs(
        self, statuses: Collection[JobStatus], before: int | None, limit: int, caller: str | None = None
    ) -> list[Job]:
        """At most `limit` jobs, newest first.

        statuses: as shown to clients; empty for all. before: only jobs with a smaller number. caller: only its jobs.
        """
        ...

    async def snapshot(self, job_id: str) -> JobSnapshot | None:
        """The job and what is ahead of it, read in one step because clients poll it."""
        ...

    async def count(self) -> JobCounts:
        """The number of jobs by status. A status without jobs may be missing."""
        ...

    async def cancel(self, job_id: str) -> Job | None:
        """Cancel an unfinished job. A finished one stays as it is. None if there is no such job."""
        ...

    async def retry(self, job_id: str, max_open: int | None = None) -> Job | None:
        """Queue a failed or completed job again in its old position. Any other job stays as it is, and so does one that
        cannot be read.

        `attempt` keeps counting, because it is the fencing token; `failures` and the delivery attempts start from zero.
        A failed job keeps its checkpoints. A completed one loses its result, and so does `cached`, unless another job
        has the same result. None if there is no such job. Raises TooManyJobs as `submit`.
        """
        ...

    async def delete(self, job_id: str) -> None:
        """Delete a finished job with its checkpoints, and its result unless another job has the same one."""
        ...

    async def result(self, job_id: str) -> Transcript | None:
        """The transcript of a completed job.

        None if there is none, or if it cannot be read; the job has failed then. Raises ResultUnavailable if it is in a
        file that is missing, damaged or out of reach; the job stays as it is then.
        """
        ...


class Versions(Protocol):
    """Former transcripts of completed jobs, whose transcript was corrected or whose speakers were renamed."""

    async def replace_result(self, shown: Job, transcript: Transcript) -> str:
        """Replace the transcript of a completed job, for this job alone. Expires with the job.

        The former one becomes a version; of these the first and the latest policy.VERSIONS_KEPT are kept. As a result
        it is deleted unless another job has it, so `cached` has it only then. Returns the `Job.result` of the new one;
        "" if the job no longer shows the result that `shown` does: nothing has changed then.
        """
        ...

    async def versions(self, job_id: str) -> Sequence[Version]:
        """The versions of a completed job's transcript that are kept, oldest first; the last is the present one.

        Empty if there is no such job. A retry and a deletion delete them.
        """
        ...

    async def former_result(self, job_id: str, number: int) -> Transcript | None:
        """The transcript of a former version. None if it is not kept, or cannot be read.

        Raises ResultUnavailable as `result`.
        """
        ...


class Results(Protocol):
    """Results and finished windows by work, which synchronous requests share with jobs."""

    async def cached(self, work: str) -> Transcript | None:
        """The result of this work, unless it has expired. One that cannot be read is deleted.

        None, too, where its file is unavailable; the result stays then.
        """
        ...

    async def remember(self, work: str, transcript: Transcript) -> None:
        """Keep a result for JOB_RESULT_TTL."""
        ...

    async def checkpoints(self, work: str, start: int = 0) -> Sequence[PlacedResult]:
        """Results of windows in file order, from position `start` to the first one that cannot be read."""
        ...


class Queue(Protocol):
    """Attempts of workers.

    A lease is a claimed Job: its `id` and `attempt`. Methods that take one raise LeaseLost if the job is no longer
    processing in that attempt, and change nothing then.
    """

    async def claim(self, owner: str, job_id: str | None = None) -> Job | None:
        """Begin an attempt of the job that is next. None if no job is due.

        A job whose lease has expired is first. Then callers take turns: the one with the fewest jobs in progress is
        served, of several the one that was served least recently. The oldest of its due jobs is begun.

        owner: identifies one process; unique for every start of a process. job_id: claim this job or none.
        A processing job whose lease has expired is due to other owners, and its failures are counted up. A queued job
        is not due while its work is being done, nor while an older job with the same work is queued: a postponement
        holds for all jobs that share the work.
        """
        ...

    async def renew(self, lease: Job) -> None:
        """Heartbeat: extend the lease to policy.LEASE_SECONDS from now."""
        ...

    async def examined(self, job_id: str, seconds: float | None) -> None:
        """Store the duration of an unfinished job's recording. None: it was examined, and the duration is unknown."""
        ...

    async def checkpoint(self, lease: Job, position: int, placed: PlacedResult, total: float | None) -> None:
        """Store the result of the window at `position` (0, 1, ...), unless that position is stored already.

        Renews the lease and clears `failures`. total: seconds of audio in the file, if known.
        """
        ...

    async def drop_checkpoints(self, lease: Job, position: int) -> None:
        """Delete the windows of the job's work from `position` on. They are decoded again."""
        ...

    async def complete(self, lease: Job, transcript: Transcript) -> None:
        """Complete the job and every queued job with the same work, and make their webhooks due."""
        ...

    async def fail(self, lease: Job, failure: Failure) -> None:
        """Fail the job, and make its webhook due."""
        ...

    async def postpone(self, lease: Job, delay: float, *, counted: bool = True) -> None:
        """Return the job to the queue after a failure of the service.

        delay: seconds until it is due, at most policy.MAX_POSTPONEMENT. counted: whether it counts as a failure.
        """
        ...

    async def release(self, lease: Job) -> None:
        """Return the job to the queue because the process stops: due at once, and no failure is counted."""
        ...

    async def refuse(self, job_id: str, failure: Failure) -> bool:
        """Fail a job that is still queued. False if it is not."""
        ...


@dataclass(frozen=True, slots=True)
class Busy:
    """Those whose deliveries have to wait.

    callers: names. receivers: of one caller each, whose name is first; then scheme, host and port of the URL in lower
    case, as it is written there.
    """

    callers: tuple[str, ...] = ()
    receivers: tuple[tuple[str, str], ...] = ()


NONE_BUSY = Busy()


class Deliveries(Protocol):
    """Deliveries of webhooks."""

    async def claim_delivery(self, lease_seconds: float, busy: Busy = NONE_BUSY) -> Job | None:
        """A finished job whose delivery is due; the attempt is counted. None if no delivery is due.

        It is due again after `lease_seconds` unless it is settled. busy: whose deliveries are not due yet.
        """
        ...

    async def settle_delivery(self, job_id: str, delivery: Delivery) -> None:
        """Store the outcome of the attempt `delivery.attempts`. Changes nothing if a later attempt has begun."""
        ...


class Maintenance(Protocol):
    """Expiry, backups and the end of the process."""

    async def expire(self) -> None:
        """Delete expired jobs and results, and checkpoints that no job needs.

        A job whose webhook is still pending is kept for another policy.DELIVERY_GRACE.
        """
        ...

    async def check_version(self) -> None:
        """Raise DamagedStore or NewerStore if a newer version of the service has stored what this one cannot read."""
        ...

    async def fail_unreadable(self) -> None:
        """Fail every job that cannot be read, so that it expires. Reads all jobs."""
        ...

    async def recordings_in_use(self) -> frozenset[str]:
        """Names of the files in the recording store that a job still needs."""
        ...

    async def back_up(self) -> None:
        """Write a consistent copy beside the database, and delete the oldest copies."""
        ...

    async def close(self) -> None:
        """Finish pending writes and close every connection."""
        ...


class JobStore(Jobs, Versions, Results, Queue, Deliveries, Maintenance, Protocol):
    """Jobs with their checkpoints and results. One object has all six parts."""
