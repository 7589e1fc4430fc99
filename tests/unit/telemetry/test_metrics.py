"""Prometheus metrics: named by its conventions, and without gauges of processes that have ended."""

import os
import subprocess

import prometheus_client.metrics
import pytest

from transcription.telemetry import metrics

OURS = [value for value in vars(metrics).values() if isinstance(value, prometheus_client.metrics.MetricWrapperBase)]


@pytest.mark.parametrize("metric", OURS, ids=lambda metric: metric._name)
def test_every_metric_has_a_help_text(metric):
    assert metric._documentation[0].isupper()
    assert metric._name.startswith(("transcription_", "bentoml_service_"))


@pytest.mark.parametrize("metric", [metric for metric in OURS if "seconds" in metric._name], ids=lambda m: m._name)
def test_times_are_in_seconds(metric):
    assert metric._name.endswith("_seconds")


def test_gauges_of_an_ended_process_are_dropped_and_its_counters_kept(tmp_path):
    process = subprocess.Popen(["true"])
    process.wait()
    ended, alive = process.pid, os.getpid()
    for name in ("gauge_livesum", "gauge_livemax", "counter", "histogram"):
        for pid in (ended, alive):
            (tmp_path / f"{name}_{pid}.db").touch()

    metrics.forget_dead_processes(tmp_path)

    left = {path.stem for path in tmp_path.iterdir()}
    assert left == {
        f"counter_{ended}",
        f"histogram_{ended}",
        *(f"{name}_{alive}" for name in ("gauge_livesum", "gauge_livemax", "counter", "histogram")),
    }
