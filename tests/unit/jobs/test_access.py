"""Whose jobs a client may see and change."""

from __future__ import annotations

import pytest

from tests.unit.jobs.store.support import REQUEST
from transcription.jobs.access import EVERY_JOB, Access
from transcription.jobs.job import NO_CALLER, Job, JobStatus, Recording

ADMIN = Access("root", everything=True, admin=True)


def job_of(caller: str) -> Job:
    return Job("a", 1, "work", JobStatus.QUEUED, REQUEST, Recording("a.bin", "0" * 64, 1), "json", 0.0, caller=caller)


@pytest.mark.parametrize(
    ("access", "caller", "allowed"),
    [
        (Access("ada"), "ada", True),
        (Access("ada"), "bob", False),
        (Access("ada"), "ADA", False),
        (Access("ada"), NO_CALLER, True),  # its id is sufficient
        (Access(), "bob", False),
        (ADMIN, "bob", True),
        (ADMIN, NO_CALLER, True),
        (EVERY_JOB, "bob", True),
    ],
)
def test_a_job_is_open_to_its_caller_to_admins_and_without_keys_to_all(
    access: Access, caller: str, allowed: bool
) -> None:
    assert access.allows(job_of(caller)) is allowed
