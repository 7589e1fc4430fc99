"""Measures layouts while the service is idle, and keeps the result for the next start.

The trials run in a process of their own, at the lowest priority, which is killed as soon as a window arrives: no
request waits for it, and its memory is free at once.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import structlog

from runners.batching import trials
from runners.batching.layout import cpu_layouts
from runners.batching.trials import from_line
from runners.batching.tuning import Choice, LayoutStore, Trial, conclude, typical_speeds
from runners.placement import DeviceLayout
from transcription.core.provenance import ROOT
from transcription.system.cgroup_memory import read_memory
from transcription.telemetry.background import going_on
from transcription.telemetry.process_metrics import resident_bytes

IDLE_SECONDS = 30.0  # without a window, before trials start
POLL_SECONDS = 0.1  # between looks at the device; a window shares the cores with a trial for at most this long
ATTEMPT_SECONDS = 600.0  # trials that take longer are given up
MAX_PAUSE_SECONDS = 3600.0  # between attempts, which doubles from IDLE_SECONDS
LOWEST_PRIORITY = 19

log = structlog.get_logger(__name__)

Question = Callable[[], bool]
TryOut = Callable[[Question], Sequence[Trial]]


@dataclass(frozen=True, slots=True)
class Subject:
    """What is measured. cores: those that the layouts share. likely: the layout without a measurement."""

    key: str
    cores: int
    likely: DeviceLayout


def measure_when_idle(
    subject: Subject,
    store: LayoutStore,
    try_out: TryOut,
    is_busy: Question,
    stopping: threading.Event,
    may_start: Question = lambda: True,
) -> Choice | None:
    """Make attempts until one can be trusted, and store its result. Blocks; None when `stopping` is set before.

    try_out: makes the trials, and gives up when its argument returns True. may_start: whether there is memory for it.
    """
    pause = IDLE_SECONDS
    while _stays_idle(is_busy, stopping, pause):
        if may_start():
            tried = try_out(lambda: is_busy() or stopping.is_set())
            choice = conclude(tried, cpu_layouts(subject.cores), subject.likely)
            if choice.measured:
                store.save(subject.key, choice.layout, typical_speeds(tried))
                return choice
            log.debug("layout_not_measured", reason=choice.reason)
        pause = min(2 * pause, MAX_PAUSE_SECONDS)
    return None


def _stays_idle(is_busy: Question, stopping: threading.Event, seconds: float) -> bool:
    """Wait until the device has been idle for so long; False when `stopping` is set before."""
    quiet = 0.0
    while quiet < seconds:
        if stopping.wait(POLL_SECONDS):
            return False
        quiet = 0.0 if is_busy() else quiet + POLL_SECONDS
    return True


def try_out_in_process(arguments: Sequence[str], gives_up: Question) -> list[Trial]:
    """The trials of a process of `trials.py`; as many as it made before `gives_up` returned True.

    arguments: of `trials.py`, after the parent.
    Raises RuntimeError when the process fails.
    """
    command = [sys.executable, "-m", trials.__name__, str(os.getpid()), *arguments]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        os.setpriority(os.PRIO_PROCESS, process.pid, LOWEST_PRIORITY)
        seconds, killed = 0.0, False
        while True:
            try:
                output, errors = process.communicate(timeout=POLL_SECONDS)
                break
            except subprocess.TimeoutExpired:
                seconds += POLL_SECONDS
                if gives_up() or seconds > ATTEMPT_SECONDS:
                    process.kill()
                    killed = True
    if process.returncode and not killed:
        raise RuntimeError(f"trials of layouts: {(errors.strip().splitlines() or [''])[-1]}")
    return [from_line(line) for line in output.splitlines(keepends=True) if line.endswith("\n")]


def has_memory_for_another(limit_percent: int) -> bool:
    """Whether a second process as large as this one stays below MEMORY_LIMIT_PERCENT, beyond which work is refused."""
    memory = read_memory()
    return memory is None or 100 * (memory.used + resident_bytes()) <= limit_percent * memory.limit


def measure_in_background(
    subject: Subject,
    store: LayoutStore,
    arguments: Sequence[str],
    is_busy: Question,
    stopping: threading.Event,
    limit_percent: int,
) -> None:
    """Measure when idle, in a thread of its own. arguments: of `trials.py`, between the parent and the layouts."""
    layouts = [str(layout) for layout in cpu_layouts(subject.cores)]

    def run() -> None:
        with going_on("layout"):
            choice = measure_when_idle(
                subject,
                store,
                lambda gives_up: try_out_in_process([*arguments, *layouts], gives_up),
                is_busy,
                stopping,
                lambda: has_memory_for_another(limit_percent),
            )
            if choice:
                log.info("layout_measured", layout=str(choice.layout), reason=choice.reason, used_from="next start")

    threading.Thread(target=run, name="layout", daemon=True).start()
