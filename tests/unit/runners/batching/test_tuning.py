"""`auto`: which layout is measured, chosen and remembered."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runners.batching.layout import likely_layout
from runners.batching.tuning import MARGIN, LayoutStore, Trial, auto_layout, choose, machine_key, tune
from runners.decode.model import ModelHandle, open_model
from runners.placement import DeviceLayout, Placement
from transcription.core.settings import EMBEDDED_MODEL_DIR

DEFAULT, LIKELY, BATCHED = DeviceLayout(1, 2, 1), DeviceLayout(2, 1, 1), DeviceLayout(2, 1, 4)
CPU = Placement("cpu", "int8")
DEMO = EMBEDDED_MODEL_DIR / "demo"


class TimedBench:
    """Trials that take as long as they are told, on a clock of their own."""

    def __init__(self, seconds: dict[DeviceLayout, float]) -> None:
        self.now = 0.0
        self._seconds = seconds

    def predict(self, layout: DeviceLayout) -> float:
        return self._seconds[layout] if self.now else 0.0

    def try_out(self, layout: DeviceLayout) -> Trial:
        self.now += self._seconds[layout]
        return Trial(layout, 1.0 / self._seconds[layout])


class TooSmallDevice(TimedBench):
    """Has no memory for batches."""

    def try_out(self, layout: DeviceLayout) -> Trial:
        if layout.batch > 1:
            raise RuntimeError("CUDA failed with error out of memory")
        return super().try_out(layout)


def measured(bench: TimedBench, budget: float) -> list[DeviceLayout]:
    trials = tune(bench, (DEFAULT, BATCHED, LIKELY), budget, lambda: bench.now)
    return [trial.layout for trial in trials]


def test_every_layout_is_measured_within_the_budget() -> None:
    assert measured(TimedBench({DEFAULT: 1.0, BATCHED: 4.0, LIKELY: 1.0}), 10.0) == [DEFAULT, BATCHED, LIKELY]


def test_a_trial_past_the_budget_is_left_out_and_a_shorter_one_still_runs() -> None:
    assert measured(TimedBench({DEFAULT: 4.0, BATCHED: 8.0, LIKELY: 4.0}), 10.0) == [DEFAULT, LIKELY]


def test_a_layout_that_does_not_fit_into_memory_is_left_out() -> None:
    assert measured(TooSmallDevice({DEFAULT: 1.0, BATCHED: 1.0, LIKELY: 1.0}), 10.0) == [DEFAULT, LIKELY]


def test_the_fastest_is_chosen_and_the_log_says_why() -> None:
    choice = choose([Trial(DEFAULT, 1.0), Trial(LIKELY, 1.5), Trial(BATCHED, 2.0)], LIKELY)

    assert choice.layout == BATCHED
    assert "1x2x1 1.00, 2x1x1 1.50, 2x1x4 2.00" in choice.reason


def test_a_gain_within_the_noise_is_no_reason_for_larger_batches() -> None:
    assert choose([Trial(DEFAULT, 1.0), Trial(LIKELY, 1.5), Trial(BATCHED, 1.51)], LIKELY).layout == LIKELY


def test_an_unmeasured_layout_is_not_preferred_to_the_default() -> None:
    assert choose([Trial(DEFAULT, 1.0)], LIKELY).layout == DEFAULT


def test_where_nothing_was_measured_the_log_names_the_script_that_does() -> None:
    choice = choose([], LIKELY)

    assert choice.layout == LIKELY
    assert "benchmarks.tune" in choice.reason


@given(st.lists(st.floats(0.01, 100), min_size=1, max_size=6))
def test_nothing_slower_than_the_default_is_ever_chosen(rates: list[float]) -> None:
    trials = [Trial(DeviceLayout(number + 1, 1, 1), rate) for number, rate in enumerate(rates)]
    chosen = next(trial for trial in trials if trial.layout == choose(trials, LIKELY).layout)

    assert chosen.rate >= rates[0]
    assert chosen.rate * MARGIN >= max(rates) or chosen.rate == max(rates) or chosen.rate >= rates[0] * MARGIN


def test_a_layout_is_stored_under_its_key_only(tmp_path: Path) -> None:
    store = LayoutStore(tmp_path / "cache" / "layouts.json")
    store.save("demo on this machine", BATCHED, [Trial(BATCHED, 2.0)])

    again = LayoutStore(tmp_path / "cache" / "layouts.json")
    assert again.find("demo on this machine") == BATCHED
    assert again.find("base on this machine") is None


@pytest.mark.parametrize("content", ["", "{", "[]", '{"key": 1}', '{"key": {"layout": {"slots": 1}}}'])
def test_a_damaged_file_is_measured_again_not_an_error(tmp_path: Path, content: str) -> None:
    path = tmp_path / "layouts.json"
    path.write_text(content)
    store = LayoutStore(path)

    assert store.find("key") is None
    store.save("key", LIKELY, [])
    assert store.find("key") == LIKELY


def test_a_read_only_folder_only_means_that_nothing_is_stored(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    store = LayoutStore(tmp_path / "file" / "layouts.json")

    store.save("key", LIKELY, [])

    assert store.find("key") is None


def test_the_embedded_model_is_measured_once(tmp_path: Path) -> None:
    opened: list[DeviceLayout] = []

    def open_layout(layout: DeviceLayout) -> ModelHandle:
        opened.append(layout)
        return open_model("demo", DEMO, CPU, layout)

    store = LayoutStore(tmp_path / "layouts.json")
    key = machine_key("demo", DEMO, CPU, 2)
    first = auto_layout(open_layout, store, key, "cpu", 2)
    trials = len(opened)
    second = auto_layout(open_layout, store, key, "cpu", 2)

    assert "relative to faster-whisper's default: 1x2x1 1.00, 2x1x1" in first.reason
    assert second.layout == first.layout
    assert second.reason == "measured at an earlier start"
    assert len(opened) == trials  # nothing was loaded for the second answer


def test_a_stored_layout_holds_for_one_model_device_and_number_of_cores() -> None:
    keys = {
        machine_key("demo", DEMO, CPU, 2),
        machine_key("demo", DEMO, CPU, 4),
        machine_key("demo", DEMO, Placement("cpu", "float32"), 2),
        machine_key("other", DEMO, CPU, 2),
    }

    assert len(keys) == 4


def test_the_best_guess_for_a_cpu_is_a_thread_a_window() -> None:
    assert likely_layout("cpu", 8) == DeviceLayout(8, 1, 1)
