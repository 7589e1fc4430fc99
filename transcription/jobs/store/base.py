"""What keeps jobs: the interface.

Every method but `expire` is one atomic step, and what it has returned from survives a crash of the process. How a job
was accepted and how it ended survives that of the machine, too.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Protocol

from transcription.core.errors import Failure, IdempotencyConflict
from transcription.core.transcript import PlacedResult, Transcript
from transcription.jobs.job import Census, Delivery, Job, JobSnapshot, JobStatus, NewJob


class LeaseLost(Exception):
    """The attempt is no longer the job's: it was cancelled, or taken over by another process."""


def key_of_another(job_id: str) -> IdempotencyConflict:
    """The error for an idempotency key that came with something else before. job_id: of that."""
    return IdempotencyConflict(
        "This Idempotency-Key was used for another submission. Send a new key with a new request.",
        f"The key belongs to job {job_id}.",
    )


class JobStore(Protocol):
    """Jobs, their checkpoints and their results.

    A lease is a claimed Job: its `id` and `attempt`. Methods that take one raise LeaseLost when the job is not
    processing in that attempt any more, and change nothing then.
    """

    # The client's side

    async def submit(self, new: NewJob) -> tuple[Job, bool]:
        """Accept a job, durably. False beside it when the idempotency key is that of an earlier job, which is returned.

        A job whose work has a result that has not expired is completed at once.
        Raises IdempotencyConflict when the key comes with another fingerprint.
        """
        ...

    async def get(self, job_id: str) -> Job | None:
        """The job. A queued one whose work is being done for another job shows that one's progress as its own."""
        ...

    async def list_jobs(self, statuses: Collection[JobStatus], before: int | None, limit: int) -> list[Job]:
        """Newest first, at most `limit`, as `get` shows them. statuses: of those shown, empty for all.

        before: only jobs with a smaller number.
        """
        ...

    async def snapshot(self, job_id: str) -> JobSnapshot | None:
        """The job with what is before it, as of one moment, since callers ask for it all the time."""
        ...

    async def census(self) -> Census:
        """How many jobs there are of each status; those of a status without any may be left out."""
        ...

    async def cancel(self, job_id: str) -> Job | None:
        """End an unfinished job; a finished one stays as it is. None when there is no such job."""
        ...

    async def retry(self, job_id: str) -> Job | None:
        """Queue a failed or completed job again in its old place; a failed one keeps its checkpoints.

        `attempt` counts on, because it is the fence; `failures` and the tries of the webhook start from zero. A
        completed one loses its result, and `cached` with it unless another job has the result, too.
        Any other job stays as it is. None when there is no such job.
        """
        ...

    async def delete(self, job_id: str) -> None:
        """Forget a finished job, its checkpoints, and its result unless another job has it, too."""
        ...

    async def result(self, job_id: str) -> Transcript | None:
        """The transcript of a completed job."""
        ...

    # Work done for somebody who waits, and shared with whoever asks the same

    async def cached(self, work: str) -> Transcript | None:
        """The result of this work, unless it has expired."""
        ...

    async def remember(self, work: str, transcript: Transcript) -> None:
        """Keep a result for JOB_RESULT_TTL."""
        ...

    # The worker's side

    async def claim(self, owner: str, job_id: str | None = None) -> Job | None:
        """Begin an attempt of the oldest job that is due, or of one whose owner is gone, which counts as a failure.

        job_id: of that one or of none.
        Never of a job whose work is being done already, nor of one that `owner` itself is at, nor of one that shares
        its work with an older queued job: the pause of a postponed job holds for all of them.
        owner: names one process; another one, and the same one started again, has another name.
        """
        ...

    async def renew(self, lease: Job) -> None:
        """Heartbeat."""
        ...

    async def examined(self, job_id: str, seconds: float | None) -> None:
        """Note how long the recording of an unfinished job is, whoever found out. None changes nothing."""
        ...

    async def checkpoint(self, lease: Job, position: int, placed: PlacedResult, total: float | None) -> None:
        """Keep the result of the window at `position` (0, 1, ...); a position that is there already stays as it is.

        It is progress: it renews the lease and clears `failures`. total: seconds of audio in the file, if known.
        """
        ...

    async def checkpoints(self, work: str, start: int = 0) -> Sequence[PlacedResult]:
        """Results of windows in file order, from position `start` on."""
        ...

    async def complete(self, lease: Job, transcript: Transcript) -> None:
        """End the job and every queued job of the same work with this result, and make their webhooks due."""
        ...

    async def fail(self, lease: Job, failure: Failure) -> None:
        """End the job, and make its webhook due."""
        ...

    async def postpone(self, lease: Job, delay: float) -> None:
        """Back to the queue after a fault of the machinery, which is counted.

        delay: seconds until it is due; a store may shorten it to ten minutes.
        """
        ...

    async def release(self, lease: Job) -> None:
        """Back to the queue without blame, at once due: the process stops."""
        ...

    async def refuse(self, job_id: str, failure: Failure) -> bool:
        """Fail a job that is still queued. False when it is not."""
        ...

    # Webhooks

    async def claim_delivery(self, lease_seconds: float) -> Job | None:
        """A finished job whose delivery is due, one attempt counted; due again after `lease_seconds` unless settled."""
        ...

    async def settle_delivery(self, job_id: str, delivery: Delivery) -> None:
        """Write down how the try `delivery.attempts` went; nothing changes when that is not the latest one any more."""
        ...

    # Housekeeping

    async def expire(self) -> None:
        """Delete finished jobs and results whose time has come, and checkpoints that nobody needs.

        A job whose webhook is not settled has a day more.
        """
        ...

    async def recordings_in_use(self) -> frozenset[str]:
        """Names of the spool's files that a job still needs."""
        ...

    async def back_up(self) -> None:
        """Write a consistent copy beside the database, and drop the oldest copies."""
        ...

    async def close(self) -> None:
        """Finish what is being written."""
        ...
