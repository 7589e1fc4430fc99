"""The alerts of several machines fire when they should, and say what to do."""

from __future__ import annotations

import os
import shutil
import subprocess
from functools import cache
from pathlib import Path

import pytest

from tests.unit.deployment import DEPLOY, ROOT, Document, load

PROMETHEUS = DEPLOY / "prometheus"
RULES = PROMETHEUS / "alerts_cluster.yaml"
CASES = ROOT / "tests" / "integration" / "alerts_cluster_test.yaml"
HANDBOOK = ROOT / "docs" / "DEPLOYMENT.md"


@cache
def promtool() -> str:
    command = shutil.which("promtool", path=f"{ROOT / '.venv' / 'bin'}{os.pathsep}{os.environ['PATH']}")
    if not command:
        pytest.skip("needs promtool: make tools fetches it where there are Debian's packages")
    return command


def accepted(*arguments: str | Path) -> None:
    command = [promtool(), *map(str, arguments)]
    checked = subprocess.run(command, capture_output=True, text=True, env={"PATH": os.defpath}, check=False)
    assert checked.returncode == 0, checked.stdout + checked.stderr


def rules() -> list[Document]:
    return [rule for group in load(RULES)["groups"] for rule in group["rules"]]


def test_promtool_accepts_the_rules() -> None:
    accepted("check", "rules", RULES)


def test_alerts_fire_on_the_series_that_they_are_for_and_on_no_others() -> None:
    accepted("test", "rules", CASES)


@pytest.mark.parametrize("name", ["scrape.yaml", "compose.yaml"])
def test_prometheus_accepts_its_configuration(name: str) -> None:
    accepted("check", "config", PROMETHEUS / name)


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule["alert"])
def test_an_alert_says_what_to_do(rule: Document) -> None:
    assert rule["annotations"]["runbook"] == f"docs/DEPLOYMENT.md#{rule['alert'].lower()}"
    assert f"### {rule['alert']}\n" in HANDBOOK.read_text()


def test_alerts_look_for_jobs_that_are_scraped() -> None:
    for name in ("scrape.yaml", "compose.yaml"):
        jobs = {job["job_name"] for job in load(PROMETHEUS / name)["scrape_configs"]}
        assert {"transcription", "transcription-worker", "transcription-exporter"} == jobs
        assert set(load(PROMETHEUS / name)["rule_files"]) == {"alerts.yaml", "alerts_cluster.yaml"}
