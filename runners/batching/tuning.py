"""What `auto` concludes from trials of layouts, and keeps on disk for later starts.

`trials.py` makes the trials, `measuring.py` while the service is idle, `benchmarks/tune.py` at once.
"""

from __future__ import annotations

import contextlib
import json
import platform
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from runners.batching.layout import Speed, fairest
from runners.placement import DeviceLayout, Placement
from transcription.core.provenance import LAYOUT_RULES, digest_of_model, digest_of_sources, libraries

ROUNDS = 3  # trials of each layout, interleaved: what changes on the machine meanwhile meets all of them
MAX_WAITED = 0.1  # share of a trial's core time during which other processes had the core
MAX_SPREAD = 1.25  # slowest trial of a layout / its fastest
MAX_NUMBER = 999  # in a layout, as in WHISPER_LAYOUT
LAYOUTS_FILE = "layouts.json"


@dataclass(frozen=True, slots=True)
class Trial:
    """One layout, tried once.

    waited: share of the core time during which the trial's threads were ready to run and had no core; 0 where the
    system does not tell.
    """

    layout: DeviceLayout
    speed: Speed
    waited: float = 0.0

    @property
    def failed(self) -> bool:
        """Whether the device could not do it, for lack of memory."""
        return self.speed.rate <= 0

    @property
    def disturbed(self) -> bool:
        """Whether other processes used the cores too much for it to mean anything."""
        return self.waited > MAX_WAITED


def failed_trial(layout: DeviceLayout) -> Trial:
    """The trial of a layout that does not fit into memory, which is a valid result."""
    return Trial(layout, Speed(float("inf"), 0.0))


@dataclass(frozen=True, slots=True)
class Choice:
    """A layout and, for the log, why it was chosen. measured: by trials that can be trusted, so that it may be kept."""

    layout: DeviceLayout
    reason: str
    measured: bool = False


def conclude(
    trials: Sequence[Trial], candidates: Sequence[DeviceLayout], likely: DeviceLayout, rounds: int = ROUNDS
) -> Choice:
    """The fairest of the candidates if all of them were measured well, otherwise the likely layout."""
    if doubt := _doubt(trials, candidates, rounds):
        return Choice(likely, f"not measured: {doubt}")
    speeds = typical_speeds(trials)
    # The likely one first, so that another one must be better by more than noise.
    order = sorted(speeds, key=lambda layout: layout != likely)
    layout = fairest({each: speeds[each] for each in order})
    figures = ", ".join(f"{each} {speed.lone:.2f} s, {speed.rate:.2f}/s" for each, speed in speeds.items())
    return Choice(layout, f"measured, a lone window and windows a second: {figures}", measured=True)


def typical_speeds(trials: Sequence[Trial]) -> dict[DeviceLayout, Speed]:
    """The medians of each layout that never failed, in the order of the trials."""
    return {
        layout: Speed(
            statistics.median(each.speed.lone for each in tried), statistics.median(each.speed.rate for each in tried)
        )
        for layout, tried in _by_layout(trials).items()
        if not any(each.failed for each in tried)
    }


def _doubt(trials: Sequence[Trial], candidates: Sequence[DeviceLayout], rounds: int) -> str:
    """Why the trials are not to be trusted; "" if they are."""
    if any(trial.disturbed for trial in trials):
        return "other processes used the cores"
    tried = _by_layout(trials)
    if any(len(tried.get(layout, ())) < rounds for layout in candidates):
        return "it was interrupted"
    speeds = [[trial.speed for trial in tried[layout] if not trial.failed] for layout in candidates]
    if not any(speeds):
        return "no layout fits into memory"
    for of_one in filter(None, speeds):
        for figures in ([speed.lone for speed in of_one], [speed.rate for speed in of_one]):
            if max(figures) > MAX_SPREAD * min(figures):
                return "the trials of one layout differ too much"
    return ""


def _by_layout(trials: Sequence[Trial]) -> dict[DeviceLayout, list[Trial]]:
    grouped: dict[DeviceLayout, list[Trial]] = {}
    for trial in trials:
        grouped.setdefault(trial.layout, []).append(trial)
    return grouped


class LayoutStore:
    """Layouts that were measured before, in one file. Never fails: an unreadable layout is measured again.

    path: of the file, which `save` creates.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def find(self, key: str) -> DeviceLayout | None:
        """The layout stored under a key."""
        try:
            numbers = self._read()[key]["layout"]
            layout = DeviceLayout(**numbers)
        except (KeyError, TypeError):
            return None
        valid = all(isinstance(number, int) and 1 <= number <= MAX_NUMBER for number in numbers.values())
        return layout if valid else None

    def save(self, key: str, layout: DeviceLayout, speeds: Mapping[DeviceLayout, Speed]) -> None:
        """Store a layout and the speeds it was chosen by."""
        known = self._read()
        figures = {str(each): asdict(speed) for each, speed in speeds.items()}
        known[key] = {"layout": asdict(layout), "speeds": figures}
        with contextlib.suppress(OSError):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            fresh = self._path.with_suffix(".new")
            fresh.write_text(json.dumps(known, indent=1, sort_keys=True), encoding="utf-8")
            fresh.replace(self._path)

    def _read(self) -> dict[str, Any]:
        try:
            known = json.loads(self._path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return known if isinstance(known, dict) else {}


def machine_key(model: str, folder: Path, placement: Placement, cores: int) -> str:
    """Identifies a measurement: this model, on this device of this machine, with these libraries and rules."""
    device = placement.device, placement.compute_type, f"{cores} cores", processor()
    rules = f"rules {digest_of_sources(LAYOUT_RULES)}"
    return " / ".join((f"{model} {digest_of_model(folder)}", *device, ", ".join(libraries()), rules))


def processor() -> str:
    """The name of the CPU, on a machine with a GPU, too: CTranslate2 does not report the name of the GPU."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
