"""Whose jobs a client may see and change."""

from __future__ import annotations

from dataclasses import dataclass

from transcription.core.errors import UnknownJob
from transcription.jobs.job import NO_CALLER, Job


@dataclass(frozen=True, slots=True)
class Access:
    """A client of the job routes.

    caller: the name of its API key; NO_CALLER without keys. everything: all jobs count as its own. admin: its key is
    marked `admin`, so it also sees to whom jobs belong.
    """

    caller: str = NO_CALLER
    everything: bool = False
    admin: bool = False

    def allows(self, job: Job) -> bool:
        """Whether the client may see and change this job.

        A job without a caller was submitted before callers were stored, or while no keys were required. Its id, which
        is random and known to its submitter, is sufficient.
        """
        return self.everything or job.caller in (self.caller, NO_CALLER)

    def check(self, job: Job | None, job_id: str) -> Job:
        """The job. Raises UnknownJob if there is none, or the client may not see it: the two look the same."""
        if job is None or not self.allows(job):
            raise unknown_job(job_id)
        return job


def unknown_job(job_id: str) -> UnknownJob:
    """The error for an id that no job has."""
    return UnknownJob(f"There is no job '{job_id[:80]}'. Finished jobs are kept for JOB_RESULT_TTL seconds.")


EVERY_JOB = Access(everything=True)  # the service itself, and every client if no keys are required
