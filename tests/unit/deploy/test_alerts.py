"""The alerts of several machines fire when they should, and say what to do."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path

import pytest
from prometheus_client.metrics import MetricWrapperBase

from tests.support.deployment import DEPLOY, ROOT, Document, load
from tests.support.tools import tool
from transcription.jobs.cluster.exporter import QueueState, _of_jobs, _of_queues
from transcription.jobs.job import JobCounts
from transcription.telemetry import metrics

PROMETHEUS = DEPLOY / "prometheus"
RULES = PROMETHEUS / "alerts_cluster.yaml"
CASES = ROOT / "tests" / "integration" / "alerts_cluster_test.yaml"
DASHBOARD = DEPLOY / "grafana" / "cluster.json"
NAME = re.compile(r"\b(transcription_[a-z_]+|up)\b(?:\{([^}]*)\})?")
LABEL = re.compile(r"([a-z_]+)\s*(?:=~|!~|!=|=)")
GROUPED = re.compile(r"\bby \(([a-z_, ]+)\)")
OF_PROMETHEUS = frozenset({"job", "instance"})
HANDBOOK = ROOT / "docs" / "DEPLOYMENT.md"


def accepted(*arguments: str | Path) -> None:
    command = [tool("promtool"), *map(str, arguments)]
    checked = subprocess.run(command, capture_output=True, text=True, env={"PATH": os.defpath}, check=False)
    assert checked.returncode == 0, checked.stdout + checked.stderr


def rules() -> list[Document]:
    return [rule for group in load(RULES)["groups"] for rule in group["rules"]]


def told() -> dict[str, set[str]]:
    """Figures of the exporter and those that metrics.py declares, with their labels."""
    found = {}
    nothing = QueueState((), 0, JobCounts({}, None))
    for family in (*_of_queues(nothing), *_of_jobs(nothing.counts)):
        found[family.name] = set(family._labelnames)
    found |= {"transcription_redis_up": set(), "up": set()}
    for metric in vars(metrics).values():
        if isinstance(metric, MetricWrapperBase):
            found[metric._name + ("_total" if metric._type == "counter" else "")] = set(metric._labelnames)
    return found


def expressions() -> list[str]:
    """Of the alerts and of the dashboard of a cluster."""
    panels = json.loads(DASHBOARD.read_text())["panels"]
    shown = [target["expr"] for panel in panels for target in panel["targets"]]
    return [rule["expr"] for rule in rules()] + shown


@pytest.mark.parametrize("expression", expressions())
def test_alerts_and_panels_ask_for_figures_and_labels_that_there_are(expression: str) -> None:
    known = told()
    for name, selector in NAME.findall(expression):
        assert name in known
        assert set(LABEL.findall(selector)) <= known[name] | OF_PROMETHEUS
    for labels in GROUPED.findall(expression):
        everything = OF_PROMETHEUS.union(*(known[name] for name, _ in NAME.findall(expression)))
        assert {label.strip() for label in labels.split(",")} <= everything


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
