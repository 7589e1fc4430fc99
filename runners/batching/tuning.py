"""Measures at start which device layout is fastest for the default model, and keeps the result on disk.

A trial does the work of the engine, except that the end of text is suppressed: it encodes a window of noise and decodes
a fixed number of tokens with beam size 5. A model that would take too long gets a part of a window, down to a tenth,
which the encoder accepts.
"""

from __future__ import annotations

import contextlib
import json
import platform
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

import ctranslate2
import numpy as np
from faster_whisper.tokenizer import Tokenizer

from runners.batching.layout import candidate_layouts, likely_layout
from runners.decode.model import ModelHandle
from runners.placement import DeviceLayout, Placement
from transcription.core.audio import ENCODER_FRAMES
from transcription.core.provenance import LAYOUT_RULES, digest_of_model, digest_of_sources, libraries

BUDGET_SECONDS = 10.0
MARGIN = 1.05  # a later candidate must be this many times faster than an earlier one; less is noise
BEAM_SIZE = 5
FULL_FRAMES, FULL_TOKENS = ENCODER_FRAMES, 96  # 30 s of dense speech, which is what windows are packed from
SHORT_FRAMES, SHORT_TOKENS = 300, 10
FULL_TO_SHORT = 15.0  # cost of a full trial in short ones, about
SAFETY = 0.7  # of the budget is planned for
LAYOUTS_FILE = "layouts.json"

Open = Callable[[DeviceLayout], ModelHandle]


@dataclass(frozen=True, slots=True)
class Trial:
    """One layout, measured. rate: windows a second; comparable within one tuning only."""

    layout: DeviceLayout
    rate: float


@dataclass(frozen=True, slots=True)
class Choice:
    """A layout and, for the log, why it was chosen."""

    layout: DeviceLayout
    reason: str


class Bench(Protocol):
    """Tries out layouts."""

    def predict(self, layout: DeviceLayout) -> float:
        """Estimated seconds of a trial; 0 before the first one."""
        ...

    def try_out(self, layout: DeviceLayout) -> Trial:
        """Raises RuntimeError or MemoryError when the device cannot do it."""
        ...


def tune(
    bench: Bench, candidates: Sequence[DeviceLayout], budget: float, clock: Callable[[], float] = time.monotonic
) -> list[Trial]:
    """Trials of the candidates in their order, as many as fit into the budget (seconds)."""
    started = clock()
    trials = []
    for layout in candidates:
        if clock() - started + bench.predict(layout) > budget:
            continue  # a smaller one may still fit
        # A device without memory for a layout is a valid result: the layout is not chosen.
        with contextlib.suppress(RuntimeError, MemoryError):
            trials.append(bench.try_out(layout))
    return trials


def choose(trials: Sequence[Trial], fallback: DeviceLayout) -> Choice:
    """The fastest measured layout; a later one is chosen only if it is clearly faster than an earlier one.

    trials: faster-whisper's default first, so that nothing slower than it is ever chosen.
    """
    if not trials:
        return Choice(fallback, "nothing could be measured; python -m benchmarks.tune has no time limit")
    best = trials[0]
    for trial in trials[1:]:
        if trial.rate > MARGIN * best.rate:
            best = trial
    others = ", ".join(f"{trial.layout} {trial.rate / trials[0].rate:.2f}" for trial in trials)
    return Choice(best.layout, f"measured, relative to faster-whisper's default: {others}")


class ModelBench:
    """Tries out layouts on a real model. One model is in memory at a time.

    open_layout: loads the model for a layout.
    """

    def __init__(self, open_layout: Open, *, budget: float = BUDGET_SECONDS, rounds: int = 0) -> None:
        self._open = open_layout
        self._budget = budget
        self._rounds = rounds  # windows per slot that the budget must cover; 0 for full trials without a limit
        self._handle: ModelHandle | None = None
        self._shape: tuple[int, int] = (0, 0)  # slots and threads of the loaded model
        self._load_seconds = 0.0
        self._window_seconds = 0.0  # of one slot, at most
        self._frames, self._tokens = FULL_FRAMES, FULL_TOKENS

    def predict(self, layout: DeviceLayout) -> float:
        loading = 0.0 if self._shape == (layout.slots, layout.threads) else self._load_seconds
        return loading + layout.batch * self._window_seconds

    def try_out(self, layout: DeviceLayout) -> Trial:
        handle = self._loaded(layout)
        if not self._window_seconds and self._rounds:
            self._choose_length(handle)
        seconds = self._run(handle, layout)
        self._window_seconds = max(self._window_seconds, seconds / layout.batch)
        return Trial(layout, layout.slots * layout.batch / seconds)

    def _loaded(self, layout: DeviceLayout) -> ModelHandle:
        shape = (layout.slots, layout.threads)
        if self._handle is None or shape != self._shape:
            self._handle = None  # freed before the next one is loaded
            started = time.perf_counter()
            self._handle, self._shape = self._open(layout), shape
            self._load_seconds = time.perf_counter() - started
            self._call(self._handle, 1, SHORT_FRAMES, 1)  # the first call allocates memory
        return self._handle

    def _choose_length(self, handle: ModelHandle) -> None:
        started = time.perf_counter()
        self._call(handle, 1, SHORT_FRAMES, SHORT_TOKENS)
        full = FULL_TO_SHORT * (time.perf_counter() - started) * self._rounds
        share = min(1.0, max(0.0, SAFETY * self._budget - self._load_seconds) / full)
        self._frames = max(SHORT_FRAMES, round(share * FULL_FRAMES))
        self._tokens = max(SHORT_TOKENS, round(share * FULL_TOKENS))

    def _run(self, handle: ModelHandle, layout: DeviceLayout) -> float:
        with ThreadPoolExecutor(layout.slots) as slots:
            started = time.perf_counter()
            calls = [
                slots.submit(self._call, handle, layout.batch, self._frames, self._tokens) for _ in range(layout.slots)
            ]
            for call in calls:
                call.result()
            return time.perf_counter() - started

    def _call(self, handle: ModelHandle, batch: int, frames: int, tokens: int) -> None:
        whisper = handle.whisper
        mels = whisper.feature_extractor.mel_filters.shape[0]
        noise = np.random.default_rng(0).normal(0, 0.3, (batch, mels, frames)).astype(np.float32)
        tokenizer = Tokenizer(whisper.hf_tokenizer, whisper.model.is_multilingual, task="transcribe", language="en")
        prompt = whisper.get_prompt(tokenizer, [])
        whisper.model.generate(
            ctranslate2.StorageView.from_array(noise),
            [prompt] * batch,
            beam_size=BEAM_SIZE,
            max_length=len(prompt) + tokens,
            suppress_tokens=[tokenizer.eot],  # noise would end at once
        )


class LayoutStore:
    """Layouts that were measured before, in one file. Never fails: an unreadable layout is measured again.

    path: of the file; its folder is created if missing.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def find(self, key: str) -> DeviceLayout | None:
        """The layout stored under a key."""
        try:
            return DeviceLayout(**self._read()[key]["layout"])
        except (KeyError, TypeError):
            return None

    def save(self, key: str, layout: DeviceLayout, trials: Sequence[Trial]) -> None:
        """Store a layout and the trials it was chosen from."""
        known = self._read()
        rates = {str(trial.layout): round(trial.rate, 4) for trial in trials}
        known[key] = {"layout": asdict(layout), "windows_a_second": rates}
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


def auto_layout(open_layout: Open, store: LayoutStore, key: str, device: str, cores: int) -> Choice:
    """The layout for `auto`: stored by an earlier start, or measured now within BUDGET_SECONDS and stored.

    Raises what `open_layout` raises.
    """
    if known := store.find(key):
        return Choice(known, "measured at an earlier start")
    candidates = candidate_layouts(device, cores)
    rounds = sum(layout.batch for layout in candidates)
    trials = tune(ModelBench(open_layout, rounds=rounds), candidates, BUDGET_SECONDS)
    choice = choose(trials, likely_layout(device, cores))
    if trials:
        store.save(key, choice.layout, trials)
    return choice
