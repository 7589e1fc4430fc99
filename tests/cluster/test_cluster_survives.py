"""No accepted job is lost, whichever machine fails: the quick version of tests/resilience/chaos_cluster.py."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.resilience.chaos import Plan
from tests.resilience.chaos_cluster import TARGETS, run


@pytest.mark.timeout(900)
def test_every_accepted_job_completes_once_with_the_same_text_whatever_is_killed(tmp_path: Path) -> None:
    if not shutil.which("redis-server"):
        pytest.skip("redis-server is needed: make tools")
    plan = Plan(jobs=6, kills=4, pause=(0.2, 1.0), targets=TARGETS, seed=2, lengths=(11, 29, 60))
    outcome = run(plan, tmp_path, quiet_members=(1, 1))
    assert outcome.problems == []
    assert len(outcome.attempts) == plan.jobs
    assert outcome.segments > 15
    assert sum(outcome.kills.values()) > 0
