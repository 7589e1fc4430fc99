"""Trials of layouts on a real model: the embedded one."""

from __future__ import annotations

from pathlib import Path

import pytest

from runners.batching.layout import Speed
from runners.batching.trials import ModelBench, as_line, from_line, seconds_without_core
from runners.batching.tuning import Trial, failed_trial
from runners.decode.model import ModelHandle, open_model
from runners.placement import DeviceLayout, Placement
from transcription.core.default_folders import EMBEDDED_MODEL_DIR

CPU = Placement("cpu", "int8")


def test_a_trial_has_both_speeds_and_a_model_is_loaded_once_for_all_batch_sizes() -> None:
    opened: list[DeviceLayout] = []

    def open_layout(layout: DeviceLayout) -> ModelHandle:
        opened.append(layout)
        return open_model("demo", EMBEDDED_MODEL_DIR / "demo", CPU, layout)

    bench = ModelBench(open_layout, frames=300, tokens=4)
    layouts = [DeviceLayout(2, 1, 1), DeviceLayout(2, 1, 4), DeviceLayout(1, 2, 1)]
    trials = [bench.try_out(layout) for layout in layouts]

    assert [trial.layout for trial in trials] == layouts
    assert all(trial.speed.lone > 0 and trial.speed.rate > 0 and not trial.failed for trial in trials)
    assert opened == [layouts[0], layouts[2]]


def test_a_device_without_memory_is_a_failed_trial() -> None:
    def open_layout(layout: DeviceLayout) -> ModelHandle:
        raise RuntimeError("CUDA failed with error out of memory")

    assert ModelBench(open_layout).try_out(DeviceLayout(2, 1, 16)).failed


@pytest.mark.parametrize(
    "trial", [Trial(DeviceLayout(2, 1, 4), Speed(1.5, 2.25), 0.125), failed_trial(DeviceLayout(1, 2, 4))]
)
def test_a_trial_survives_the_pipe(trial: Trial) -> None:
    assert from_line(as_line(trial)) == trial


def test_the_wait_of_every_thread_counts(tmp_path: Path) -> None:
    for thread, line in (("1", "5 1500000000 7"), ("2", "5 500000000 7"), ("3", "")):
        (tmp_path / thread).mkdir()
        (tmp_path / thread / "schedstat").write_text(line)

    assert seconds_without_core(tmp_path) == 2.0
    assert seconds_without_core(tmp_path / "none") == 0.0
