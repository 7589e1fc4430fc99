"""`auto`: what is concluded from trials, and what is remembered."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runners.batching import tuning
from runners.batching.layout import MARGIN, Speed, cpu_layouts
from runners.batching.tuning import (
    MAX_SPREAD,
    MAX_WAITED,
    ROUNDS,
    LayoutStore,
    Trial,
    conclude,
    failed_trial,
    machine_key,
    typical_speeds,
)
from runners.placement import DeviceLayout, Placement
from transcription.core.default_folders import EMBEDDED_MODEL_DIR

NARROW, WIDE = DeviceLayout(4, 1, 4), DeviceLayout(2, 2, 4)
CANDIDATES = (NARROW, WIDE)
SLOW, FAST = Speed(2.0, 1.0), Speed(1.0, 2.0)
CPU = Placement("cpu", "int8")
DEMO = EMBEDDED_MODEL_DIR / "demo"

SPEEDS = st.builds(Speed, st.floats(0.01, 100), st.floats(0.01, 100))


def rounds(speeds: dict[DeviceLayout, Speed], number: int = ROUNDS) -> list[Trial]:
    return [Trial(layout, speed) for _ in range(number) for layout, speed in speeds.items()]


def test_the_fairest_layout_is_chosen_and_the_log_says_why() -> None:
    choice = conclude(rounds({NARROW: SLOW, WIDE: FAST}), CANDIDATES, NARROW)

    assert choice.layout == WIDE
    assert choice.measured
    assert "4x1x4 2.00 s, 1.00/s, 2x2x4 1.00 s, 2.00/s" in choice.reason


def test_a_gain_within_the_noise_is_no_reason_to_leave_the_likely_layout() -> None:
    speeds = {NARROW: Speed(1.0, 1.0), WIDE: Speed(1.0, (1 + MARGIN) / 2)}

    assert conclude(rounds(speeds), CANDIDATES, NARROW).layout == NARROW
    assert conclude(rounds(speeds), CANDIDATES, WIDE).layout == WIDE


def test_an_interrupted_measurement_means_the_likely_layout_and_is_not_kept() -> None:
    choice = conclude(rounds({NARROW: SLOW, WIDE: FAST})[:-1], CANDIDATES, NARROW)

    assert choice.layout == NARROW
    assert not choice.measured
    assert "interrupted" in choice.reason


def test_other_processes_on_the_cores_mean_that_nothing_is_kept() -> None:
    trials = rounds({NARROW: SLOW, WIDE: FAST})
    trials[1] = replace(trials[1], waited=2 * MAX_WAITED)

    choice = conclude(trials, CANDIDATES, NARROW)

    assert (choice.layout, choice.measured) == (NARROW, False)
    assert "other processes" in choice.reason


@pytest.mark.parametrize("slower", [Speed(4.0 * MAX_SPREAD, 1.0), Speed(2.0, 0.5 / MAX_SPREAD)])
def test_trials_that_contradict_each_other_mean_that_nothing_is_kept(slower: Speed) -> None:
    trials = rounds({NARROW: SLOW, WIDE: FAST})
    trials[0] = replace(trials[0], speed=slower)

    assert not conclude(trials, CANDIDATES, NARROW).measured


def test_a_layout_without_memory_is_not_chosen_and_the_others_are_compared() -> None:
    trials = rounds({WIDE: SLOW}) + [failed_trial(NARROW)] * ROUNDS

    choice = conclude(trials, CANDIDATES, NARROW)

    assert (choice.layout, choice.measured) == (WIDE, True)
    assert typical_speeds(trials) == {WIDE: SLOW}


def test_a_device_without_memory_for_any_layout_is_not_measured() -> None:
    choice = conclude([failed_trial(layout) for layout in CANDIDATES * ROUNDS], CANDIDATES, NARROW)

    assert (choice.layout, choice.measured) == (NARROW, False)


@given(st.lists(st.builds(Trial, st.sampled_from(CANDIDATES), SPEEDS, st.floats(0, 1)), max_size=8), st.data())
def test_whatever_the_trials_only_a_measured_layout_replaces_the_likely_one(
    trials: list[Trial], data: st.DataObject
) -> None:
    likely = data.draw(st.sampled_from(CANDIDATES))

    choice = conclude(trials, CANDIDATES, likely)

    if not choice.measured:
        assert choice.layout == likely
    else:
        assert not any(trial.disturbed for trial in trials)
        assert all(sum(trial.layout == each for trial in trials) >= ROUNDS for each in CANDIDATES)
        assert choice.layout in typical_speeds(trials)


@given(st.integers(2, 64), st.data())
def test_an_unfinished_measurement_is_never_kept(cores: int, data: st.DataObject) -> None:
    candidates = cpu_layouts(cores)
    trials = rounds({layout: data.draw(SPEEDS) for layout in candidates})
    done = data.draw(st.integers(0, len(trials) - 1))

    choice = conclude(trials[:done], candidates, candidates[-1])

    assert (choice.layout, choice.measured) == (candidates[-1], False)


@given(st.dictionaries(st.sampled_from(cpu_layouts(64)), SPEEDS, min_size=1), st.data())
def test_no_layout_is_chosen_that_is_slower_in_both_respects(
    speeds: dict[DeviceLayout, Speed], data: st.DataObject
) -> None:
    likely = data.draw(st.sampled_from(sorted(speeds, key=str)))

    chosen = speeds[conclude(rounds(speeds), tuple(speeds), likely).layout]

    for speed in speeds.values():
        assert not (speed.lone * MARGIN < chosen.lone and speed.rate > MARGIN * chosen.rate)


def test_a_layout_is_stored_under_its_key_only(tmp_path: Path) -> None:
    store = LayoutStore(tmp_path / "cache" / "layouts.json")
    store.save("demo on this machine", WIDE, {WIDE: FAST})

    again = LayoutStore(tmp_path / "cache" / "layouts.json")
    assert again.find("demo on this machine") == WIDE
    assert again.find("base on this machine") is None


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "[]",
        '{"key": 1}',
        '{"key": {"layout": {"slots": 1}}}',
        '{"key": {"layout": {"slots": 0, "threads": 1, "batch": 1}}}',
        '{"key": {"layout": {"slots": "2", "threads": 1, "batch": 1}}}',
    ],
)
def test_a_damaged_file_is_measured_again_not_an_error(tmp_path: Path, content: str) -> None:
    path = tmp_path / "layouts.json"
    path.write_text(content)
    store = LayoutStore(path)

    assert store.find("key") is None
    store.save("key", NARROW, {})
    assert store.find("key") == NARROW


def test_a_read_only_folder_only_means_that_nothing_is_stored(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    store = LayoutStore(tmp_path / "file" / "layouts.json")

    store.save("key", NARROW, {})

    assert store.find("key") is None


def test_a_stored_layout_holds_for_one_model_device_number_of_cores_and_version(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    keys = {
        machine_key("demo", DEMO, CPU, 2),
        machine_key("demo", DEMO, CPU, 4),
        machine_key("demo", DEMO, Placement("cpu", "float32"), 2),
        machine_key("other", DEMO, CPU, 2),
        machine_key("demo", DEMO.parent, CPU, 2),
    }
    for replaced, value in (("processor", "another processor"), ("libraries", ("ctranslate2 99",))):
        with monkeypatch.context() as patch:
            patch.setattr(tuning, replaced, lambda value=value: value)
            keys.add(machine_key("demo", DEMO, CPU, 2))

    assert len(keys) == 7
