"""Tries out layouts on a real model. As a process: one line on standard output for every trial.

A trial does the work of the engine, except that the end of text is suppressed: it encodes a window of noise and decodes
a fixed number of tokens with beam size 5.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path

import ctranslate2
import numpy as np
from faster_whisper.tokenizer import Tokenizer

from runners.batching.layout import Speed
from runners.batching.tuning import ROUNDS, Trial, failed_trial
from runners.decode.model import ModelHandle, open_model
from runners.placement import DeviceLayout, Placement

BEAM_SIZE = 5
FRAMES, TOKENS = 1500, 48  # 15 s of dense speech: between a short clip and a full window of a long file
WARM_UP_TOKENS = 1
PARENT_SECONDS = 1.0  # between looks at the parent

Open = Callable[[DeviceLayout], ModelHandle]


class ModelBench:
    """Tries out layouts. One model is in memory at a time.

    open_layout: loads the model for a layout. frames, tokens: of a window.
    """

    def __init__(self, open_layout: Open, frames: int = FRAMES, tokens: int = TOKENS) -> None:
        self._open = open_layout
        self._frames = frames
        self._tokens = tokens
        self._handle: ModelHandle | None = None
        self._shape = (0, 0)  # slots and threads of the loaded model

    def try_out(self, layout: DeviceLayout) -> Trial:
        """Decode one window in one slot, then a full batch in each slot. Raises what `open_layout` raises."""
        try:
            handle = self._loaded(layout)
            waited, started = seconds_without_core(), time.perf_counter()
            lone = self._run(handle, 1, 1)
            full = self._run(handle, layout.slots, layout.batch)
            waited, seconds = seconds_without_core() - waited, time.perf_counter() - started
        except (RuntimeError, MemoryError):  # CTranslate2 raises RuntimeError when a device has no memory
            return failed_trial(layout)
        speed = Speed(lone, layout.slots * layout.batch / full)
        return Trial(layout, speed, max(0.0, waited) / (seconds * layout.slots * layout.threads))

    def _loaded(self, layout: DeviceLayout) -> ModelHandle:
        shape = (layout.slots, layout.threads)
        if self._handle is None or shape != self._shape:
            self._handle = None  # freed before the next one is loaded
            self._handle, self._shape = self._open(layout), shape
            for _ in range(layout.slots):  # the first calls allocate memory
                self._call(self._handle, layout.batch, WARM_UP_TOKENS)
        return self._handle

    def _run(self, handle: ModelHandle, slots: int, batch: int) -> float:
        """Seconds until every slot has decoded a batch."""
        with ThreadPoolExecutor(slots) as pool:
            started = time.perf_counter()
            for call in [pool.submit(self._call, handle, batch, self._tokens) for _ in range(slots)]:
                call.result()
            return time.perf_counter() - started

    def _call(self, handle: ModelHandle, batch: int, tokens: int) -> None:
        whisper = handle.whisper
        mels = whisper.feature_extractor.mel_filters.shape[0]
        noise = np.random.default_rng(0).normal(0, 0.3, (batch, mels, self._frames)).astype(np.float32)
        tokenizer = Tokenizer(whisper.hf_tokenizer, whisper.model.is_multilingual, task="transcribe", language="en")
        prompt = whisper.get_prompt(tokenizer, [])
        whisper.model.generate(
            ctranslate2.StorageView.from_array(noise),
            [prompt] * batch,
            beam_size=BEAM_SIZE,
            max_length=len(prompt) + tokens,
            suppress_tokens=[tokenizer.eot],  # noise would end at once
        )


def seconds_without_core(tasks: Path = Path("/proc/self/task")) -> float:
    """Seconds that the threads of this process were ready to run and had no core; 0 where Linux does not tell."""
    total = 0
    for file in tasks.glob("*/schedstat"):
        try:
            total += int(file.read_text().split()[1])  # proc(5): run time, wait time (ns), number of time slices
        except (OSError, IndexError, ValueError):  # the thread has ended, or the kernel keeps no such figures
            continue
    return total / 1e9


def as_line(trial: Trial) -> str:
    """A trial as one line of JSON."""
    return json.dumps(asdict(trial))


def from_line(line: str) -> Trial:
    """The trial of a line."""
    trial = json.loads(line)
    return Trial(DeviceLayout(**trial["layout"]), Speed(**trial["speed"]), trial["waited"])


def _end_with(parent: int) -> None:
    """End this process, in the middle of a trial, once its parent has ended."""
    while os.getppid() == parent:
        time.sleep(PARENT_SECONDS)
    os._exit(1)


def main() -> int:
    """Try out every layout ROUNDS times, in turn, until a trial is disturbed; returns the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("parent", type=int, help="process whose end ends this one")
    for name in ("model", "device", "compute_type"):
        parser.add_argument(name)
    parser.add_argument("folder", type=Path)
    parser.add_argument("layouts", nargs="+", help="SLOTSxTHREADSxBATCH")
    arguments = parser.parse_args()
    threading.Thread(target=_end_with, args=(arguments.parent,), daemon=True).start()
    placement = Placement(arguments.device, arguments.compute_type)
    bench = ModelBench(lambda layout: open_model(arguments.model, arguments.folder, placement, layout))
    for _ in range(ROUNDS):
        for text in arguments.layouts:
            trial = bench.try_out(DeviceLayout.parse(text))
            sys.stdout.write(as_line(trial) + "\n")
            sys.stdout.flush()
            if trial.disturbed:
                return 0
    return 0


if __name__ == "__main__":
    sys.exit(main())
