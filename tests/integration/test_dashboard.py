"""No panel and no alert asks for a figure that does not exist; checked against the metrics of a real service."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path

import httpx
import prometheus_client.metrics
import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from tests.support.clips import SpokenClip, Transcribe
from tests.support.prometheus import prometheus
from tests.support.service import ROOT, LocalService, free_port
from tests.support.tools import tool
from transcription.telemetry import metrics

DASHBOARD = ROOT / "deploy" / "grafana" / "dashboard.json"
ALERTS = ROOT / "deploy" / "prometheus" / "alerts.yaml"
OPERATIONS = ROOT / "docs" / "OPERATIONS.md"
NAME = re.compile(r"\b((?:transcription|bentoml_service)_[a-z_]+)(\{[^}]*\})?")
LABEL = re.compile(r"([a-z_]+)\s*(?:=~|!~|!=|=)")
GROUPED = re.compile(r"\bby \(([a-z_, ]+)\)")
OF_PROMETHEUS = {"le", "job", "instance"}
SUFFIXES = {"histogram": ("_bucket", "_count", "_sum"), "counter": ("_total",), "gauge": ("",)}

Labels = dict[str, set[str]]


def panels() -> dict[str, list[str]]:
    """Expressions by title."""
    document = json.loads(DASHBOARD.read_text())
    return {
        panel["title"]: [target["expr"] for target in panel["targets"]]
        for panel in document["panels"]
        if panel["type"] != "row"
    }


def alerts() -> dict[str, dict[str, object]]:
    """Rules by name."""
    groups = yaml.safe_load(ALERTS.read_text())["groups"]
    return {rule["alert"]: rule for group in groups for rule in group["rules"]}


def declared() -> Labels:
    """What metrics.py declares: a counter that has counted nothing yet is not to be seen in /metrics."""
    found: Labels = {}
    for metric in vars(metrics).values():
        if isinstance(metric, prometheus_client.metrics.MetricWrapperBase):
            for suffix in SUFFIXES[metric._type]:
                found[metric._name + suffix] = set(metric._labelnames)
    return found


@pytest.fixture(scope="module")
def told(client: httpx.Client, transcribe: Transcribe, spoken_clip: SpokenClip) -> Labels:
    """Names of the metrics of a service that has done some work, with their labels."""
    assert transcribe(spoken_clip.path).status_code == 200
    assert client.get("/nowhere").status_code == 404
    found: Labels = {}
    for family in text_string_to_metric_families(client.get("/metrics").text):
        for sample in family.samples:
            found.setdefault(sample.name, set()).update(sample.labels)
    return found


def unknown(expression: str, known: Labels) -> list[str]:
    """Names and labels in an expression that no metric has."""
    wrong = []
    asked = NAME.findall(expression)
    for name, selector in asked:
        if name not in known:
            wrong.append(name)
            continue
        wrong += [f"{name}{{{label}}}" for label in LABEL.findall(selector) if label not in known[name] | OF_PROMETHEUS]
    everything = set().union(*(known.get(name, set()) for name, _ in asked), OF_PROMETHEUS)
    grouped = {label.strip() for labels in GROUPED.findall(expression) for label in labels.split(",")}
    return wrong + sorted(grouped - everything)


@pytest.mark.parametrize("title", panels())
def test_a_panel_shows_what_there_is(title: str, told: Labels) -> None:
    for expression in panels()[title]:
        assert NAME.search(expression)
        assert unknown(expression, declared() | told) == []


@pytest.mark.parametrize("name", alerts())
def test_an_alert_watches_what_there_is_and_says_what_to_do(name: str, told: Labels) -> None:
    rule = alerts()[name]
    assert unknown(str(rule["expr"]), declared() | told) == []
    notes = rule["annotations"]
    assert isinstance(notes, dict)
    assert notes["runbook"] == f"docs/OPERATIONS.md#{name.lower()}"
    assert f"### {name}\n" in OPERATIONS.read_text()


def test_a_wrong_name_or_label_would_be_found(told: Labels) -> None:
    assert unknown("rate(transcription_nonsense_total[5m])", told) == ["transcription_nonsense_total"]
    assert unknown('transcription_active{colour="red"}', told) == ["transcription_active{colour}"]
    assert unknown("sum by (colour) (transcription_active)", told) == ["colour"]


def test_what_is_declared_is_told_as_soon_as_there_is_something_to_tell(told: Labels) -> None:
    rare = {
        "transcription_background_errors_total",
        "transcription_background_restarts_total",
        "transcription_fallbacks_total",
        "transcription_full_contexts_total",
        "transcription_failures_total",
        "transcription_gpu_busy_ratio",
        "transcription_gpu_memory_bytes",
        "transcription_gpu_memory_used_bytes",
        "transcription_hallucinations_total",
        "transcription_job_attempts_total",
        "transcription_live_early_decodes_total",
        "transcription_live_refused_sessions_total",
        "transcription_out_of_memory_total",
        "transcription_pool_retries_total",
        "transcription_webhook_tries_total",
    }
    assert set(declared()) - set(told) <= rare


def test_every_metric_is_in_the_operators_handbook() -> None:
    text = OPERATIONS.read_text()
    for name, labels in declared().items():
        if not name.endswith(("_bucket", "_count")):
            row = next((line for line in text.splitlines() if f"`{name.removesuffix('_sum')}`" in line), "")
            assert row, name
            assert all(f"`{label}`" in row for label in labels), row


def test_promtool_accepts_the_rules() -> None:
    environment = {"PATH": os.defpath}
    for rest in (("check", "rules", ALERTS), ("test", "rules", Path(__file__).with_name("alerts_test.yaml"))):
        command = [tool("promtool"), *rest]
        checked = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
        assert checked.returncode == 0, checked.stdout + checked.stderr


def test_prometheus_raises_no_alert_for_a_service_that_works(
    service: LocalService, transcribe: Transcribe, spoken_clip: SpokenClip, client: httpx.Client, tmp_path: Path
) -> None:
    assert transcribe(spoken_clip.path).status_code == 200
    with prometheus(service.url, tmp_path) as watching:
        assert transcribe(spoken_clip.path).status_code == 200
        assert client.get("/health/ready").status_code == 200
        watching.expect(set(), after='rate(bentoml_service_request_total{endpoint="/transcribe"}[1m])')


def test_prometheus_raises_the_alert_for_a_service_that_does_not_answer(tmp_path: Path) -> None:
    with prometheus(f"http://127.0.0.1:{free_port()}", tmp_path) as watching:
        watching.expect({"TranscriptionDown"}, after="up == bool 0")
