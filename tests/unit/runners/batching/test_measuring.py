"""When layouts are measured: while the service is idle, until a measurement can be trusted."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from runners.batching.layout import Speed, cpu_layouts
from runners.batching.measuring import (
    IDLE_SECONDS,
    MAX_PAUSE_SECONDS,
    Subject,
    has_memory_for_another,
    measure_when_idle,
    try_out_in_process,
)
from runners.batching.tuning import ROUNDS, Choice, LayoutStore, Trial
from transcription.core.default_folders import EMBEDDED_MODEL_DIR
from transcription.core.provenance import ROOT

NARROW, WIDE = cpu_layouts(2)
SUBJECT = Subject("this machine", 2, NARROW)
TRIALS = [Trial(layout, Speed(layout.slots, layout.threads)) for layout in (NARROW, WIDE) * ROUNDS]
DISTURBED = [Trial(NARROW, Speed(60.0, 0.01), waited=0.9)]


class Clock(threading.Event):
    """`stopping`, on a clock that advances when it is waited for; set after `until` seconds."""

    def __init__(self, until: float = 1e5) -> None:
        super().__init__()
        self.now = 0.0
        self._until = until

    def wait(self, timeout: float | None = None) -> bool:
        self.now += timeout or 0.0
        return self.now >= self._until


class Machine:
    """A device with load, and trials that find what they are told. busy: spans in which windows are on the device."""

    def __init__(self, clock: Clock, found: Sequence[list[Trial]], busy: Sequence[tuple[float, float]] = ()) -> None:
        self._clock = clock
        self._found = list(found)
        self._busy = busy
        self.attempts: list[float] = []

    def is_busy(self) -> bool:
        return any(start <= self._clock.now < end for start, end in self._busy)

    def try_out(self, gives_up: Callable[[], bool]) -> list[Trial]:
        self.attempts.append(self._clock.now)
        trials = []
        for trial in self._found.pop(0):
            self._clock.now += 1.0  # of every trial
            if gives_up():
                return trials
            trials.append(trial)
        return trials


def measured(clock: Clock, machine: Machine, store: LayoutStore, memory: bool = True) -> Choice | None:
    return measure_when_idle(SUBJECT, store, machine.try_out, machine.is_busy, clock, lambda: memory)


@pytest.fixture
def store(tmp_path: Path) -> LayoutStore:
    return LayoutStore(tmp_path / "layouts.json")


def test_an_idle_service_is_measured_and_the_result_is_kept(store: LayoutStore) -> None:
    clock = Clock()
    machine = Machine(clock, [TRIALS])

    choice = measured(clock, machine, store)

    assert choice
    assert choice.layout == store.find(SUBJECT.key) == WIDE
    assert machine.attempts == [pytest.approx(IDLE_SECONDS, abs=1)]


def test_a_measurement_beside_other_processes_is_not_kept_and_made_again_later(store: LayoutStore) -> None:
    clock = Clock(until=1000)
    machine = Machine(clock, [DISTURBED] * 20)

    assert measured(clock, machine, store) is None
    assert store.find(SUBJECT.key) is None
    pauses = [later - earlier for earlier, later in zip(machine.attempts, machine.attempts[1:], strict=False)]
    assert pauses == [pytest.approx(IDLE_SECONDS * 2**number, abs=3) for number in range(1, len(pauses) + 1)]


def test_the_pause_between_attempts_is_bounded(store: LayoutStore) -> None:
    clock = Clock()
    machine = Machine(clock, [DISTURBED] * 100)

    measured(clock, machine, store)

    assert machine.attempts[-1] - machine.attempts[-2] == pytest.approx(MAX_PAUSE_SECONDS, abs=3)


def test_a_window_interrupts_the_trials_and_they_start_again_when_the_service_is_idle(store: LayoutStore) -> None:
    clock = Clock()
    machine = Machine(clock, [TRIALS, TRIALS], busy=[(IDLE_SECONDS + 2, 500.0)])

    choice = measured(clock, machine, store)

    assert choice
    assert choice.measured
    assert machine.attempts[1] >= 500.0 + IDLE_SECONDS


def test_a_busy_service_is_not_measured(store: LayoutStore) -> None:
    clock = Clock(until=1000)
    machine = Machine(clock, [], busy=[(0.0, 2000.0)])

    assert measured(clock, machine, store) is None
    assert machine.attempts == []


def test_without_memory_for_a_second_model_nothing_is_tried(store: LayoutStore) -> None:
    clock = Clock(until=1000)
    machine = Machine(clock, [])

    assert measured(clock, machine, store, memory=False) is None
    assert machine.attempts == []


def test_memory_is_compared_with_the_limit_beyond_which_requests_are_refused() -> None:
    assert not has_memory_for_another(limit_percent=0)


def demo(*layouts: str) -> list[str]:
    return ["demo", "cpu", "int8", str(EMBEDDED_MODEL_DIR / "demo"), *layouts]


def test_the_process_reports_its_trials() -> None:
    trials = try_out_in_process(demo("1x1x1"), lambda: False)

    # Other processes of the machine that runs this test may disturb any of them.
    assert 1 <= len(trials) <= ROUNDS
    assert {str(trial.layout) for trial in trials} == {"1x1x1"}


def test_the_process_is_killed_when_a_window_arrives() -> None:
    assert try_out_in_process(demo(*["1x1x1"] * 1000), lambda: True) == []


def test_the_process_ends_with_its_parent() -> None:
    trials = [sys.executable, "-m", "runners.batching.trials"]
    another = "1"  # never the parent of this one, as if the parent had died before the process looked

    ended = subprocess.run([*trials, another, *demo(*["1x1x1"] * 1000)], cwd=ROOT, capture_output=True, check=False)

    assert ended.returncode == 1


def test_a_process_that_fails_says_why() -> None:
    with pytest.raises(RuntimeError, match="ModelUnavailable"):
        try_out_in_process(["demo", "cpu", "int8", "/nowhere", "1x1x1"], lambda: False)
