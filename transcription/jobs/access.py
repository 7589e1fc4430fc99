"""Whose jobs a client may see and change."""

from __future__ import annotations

from dataclasses import dataclass

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


EVERY_JOB = Access(everything=True)  # the service itself, and every client if no keys are required
