"""No accepted job is lost, whichever process is killed: the quick version of tests/resilience/chaos.py."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.resilience.chaos import Plan, environment_for, run


@pytest.mark.timeout(600)
def test_every_accepted_job_completes_once_with_the_same_text_whatever_is_killed(tmp_path: Path) -> None:
    plan = Plan(jobs=6, kills=4, pause=(1.0, 4.0), seed=1, lengths=(11, 29, 60))
    outcome = run(plan, environment_for("demo", None, tmp_path), tmp_path)
    assert outcome.problems == []
    assert len(outcome.attempts) == plan.jobs
    assert outcome.segments > 15
    assert sum(outcome.kills.values()) > 0
