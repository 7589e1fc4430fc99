"""Compare how much of a window the encoder sees: errors and CPU time of the engine, by padding, classes and windows.

    python -m benchmarks.experiments.encoder_context --models base tiny.en --plot FILE.svg

Prints a table and draws a plot of the options in docs/decisions/0050-encoder-context.md. CPU time is that of this
process, so that other load on the machine matters less than for elapsed time.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import signal
import sys
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path

import numpy as np
from faster_whisper import decode_audio

from benchmarks.evaluate.__main__ import SHARED_RECORDINGS
from benchmarks.evaluate.bootstrap import Estimate, ratio
from benchmarks.evaluate.references import Reference, read_references, take
from benchmarks.evaluate.report import decimal, percent
from benchmarks.evaluate.scoring import Errors, count_errors, units
from benchmarks.report import table
from runners.decode import encoder_context
from runners.decode.engine import Engine, WindowTask
from runners.decode.model import open_model
from runners.models.catalogue import resolve
from runners.placement import DeviceLayout, choose_placement
from transcription.core.audio import FRAMES_PER_SECOND, INT16_SCALE, SAMPLE_RATE, WINDOW_SAMPLES
from transcription.core.options import DecodeOptions, EncoderContext, VadOptions
from transcription.core.settings import load_settings
from transcription.media.voice_activity import Samples
from transcription.media.windows import SHORT_WINDOW_SAMPLES, cut_windows

ENGLISH, OTHERS = "English", "other languages"
ENGLISH_ONLY = ".en"  # how the names of models end that know no other language


@dataclass(frozen=True, slots=True)
class Policy:
    """What the encoder sees. padding: seconds; None for 30 s always. classes: lengths of the input, seconds.

    window: the longest, seconds.
    """

    name: str
    padding: int | None
    classes: tuple[int, ...] = tuple(frames // FRAMES_PER_SECOND for frames in encoder_context.CONTEXTS)
    window: int = SHORT_WINDOW_SAMPLES // SAMPLE_RATE

    @property
    def choice(self) -> EncoderContext:
        return EncoderContext.FULL if self.padding is None else EncoderContext.AUTO

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Set the engine's numbers, which are no settings, for the time of the block."""
        before = encoder_context.PADDING_FRAMES, encoder_context.CONTEXTS
        if self.padding is not None:
            encoder_context.PADDING_FRAMES = self.padding * FRAMES_PER_SECOND
        encoder_context.CONTEXTS = tuple(seconds * FRAMES_PER_SECOND for seconds in self.classes)
        try:
            yield
        finally:
            encoder_context.PADDING_FRAMES, encoder_context.CONTEXTS = before


POLICIES = (
    Policy("30 s always, windows of 30 s", None, window=WINDOW_SAMPLES // SAMPLE_RATE),
    *(Policy(f"{padding} s of padding", padding) for padding in (2, 3, 4, 6)),
    Policy("4 s, a class for every second", 4, tuple(range(5, 31))),
    Policy("4 s, classes of 15 and 30 s", 4, (15, 30)),
    Policy("4 s, windows of 30 s", 4, window=WINDOW_SAMPLES // SAMPLE_RATE),
)


@dataclass(frozen=True, slots=True)
class Recording:
    """samples: int16, 16 kHz mono."""

    reference: Reference
    samples: Samples

    @property
    def seconds(self) -> float:
        return len(self.samples) / SAMPLE_RATE


@dataclass(frozen=True, slots=True)
class Heard:
    """A recording under a policy. cpu: of the engine, seconds. seconds: of audio."""

    errors: Errors
    cpu: float
    seconds: float


@dataclass(frozen=True, slots=True)
class Row:
    """Some recordings under a policy. errors: per word or character. cpu: seconds per second of audio."""

    model: str
    spoken: str
    policy: str
    recordings: int
    errors: Estimate | None
    cpu: Estimate | None


def load(references: Sequence[Reference], longest: float) -> list[Recording]:
    """The recordings of at most `longest` seconds."""
    loaded = []
    for reference in references:
        samples = np.round(decode_audio(str(reference.path)) * (INT16_SCALE - 1)).astype(np.int16)
        loaded.append(Recording(reference, samples))
    return [each for each in loaded if each.seconds <= longest]


def hear(engine: Engine, recording: Recording, options: DecodeOptions, window: int) -> tuple[str, float]:
    """The text, and the CPU seconds of the engine. window: the longest, seconds."""
    text, cpu = "", 0.0
    for samples in asyncio.run(_windows(recording.samples, window * SAMPLE_RATE)):
        started = time.process_time()
        [result] = engine.decode([WindowTask(samples, options)])
        cpu += time.process_time() - started
        options = replace(options, language=result.language)
        text += " ".join(("", *(segment.text.strip() for segment in result.segments)))
    return text, cpu


async def _windows(samples: Samples, longest: int) -> list[Samples]:
    async def blocks() -> AsyncIterator[Samples]:
        yield samples

    return [window.samples async for window in cut_windows(blocks(), VadOptions(), longest=longest, listen=False)]


def open_engine(model: str) -> Engine:
    """Raises UnknownModel, ModelUnavailable."""
    settings = load_settings()
    layout = DeviceLayout(slots=1, threads=1, batch=1)
    return Engine(open_model(model, resolve(model, settings), choose_placement(settings), layout))


def compare(models: Sequence[str], recordings: Sequence[Recording]) -> list[Row]:
    """Every recording by every model under every policy, in turns, so that other load affects all alike.

    After an interrupt, rows of the recordings that are done. Raises UnknownModel, ModelUnavailable.
    """
    engines = {model: open_engine(model) for model in models}
    for model, engine in engines.items():
        hear(engine, recordings[0], DecodeOptions(model), POLICIES[0].window)  # the first call is slower
    done: dict[tuple[str, str, str], list[Heard]] = defaultdict(list)
    try:
        for number, recording in enumerate(recordings, start=1):
            for key, heard in [*_by_all(engines, recording)]:
                done[key].append(heard)
            print(f"{number} of {len(recordings)} recordings", file=sys.stderr, flush=True)
    except KeyboardInterrupt:
        print("Interrupted; the figures are of what is done.", file=sys.stderr)
    return [_row(*key, heard) for key, heard in sorted(done.items(), key=lambda item: item[0][:2])]


def _by_all(engines: Mapping[str, Engine], recording: Recording) -> Iterator[tuple[tuple[str, str, str], Heard]]:
    language = recording.reference.language
    for model, engine in engines.items():
        if model.endswith(ENGLISH_ONLY) and language != "en":
            continue
        for policy in POLICIES:
            options = DecodeOptions(model, encoder_context=policy.choice)
            with policy.applied():
                text, cpu = hear(engine, recording, options, policy.window)
            errors = count_errors(units(recording.reference.text, language), units(text, language))
            spoken = ENGLISH if language == "en" else OTHERS
            yield (model, spoken, policy.name), Heard(errors, cpu, recording.seconds)


def _row(model: str, spoken: str, policy: str, heard: Sequence[Heard]) -> Row:
    errors = ratio([each.errors.total for each in heard], [each.errors.units for each in heard])
    cpu = ratio([each.cpu for each in heard], [each.seconds for each in heard])
    return Row(model, spoken, policy, len(heard), errors, cpu)


def plot(rows: Sequence[Row], path: Path) -> None:
    """Errors over CPU time, a panel for each model and group of languages. Raises ImportError without matplotlib."""
    matplotlib = import_module("matplotlib")
    matplotlib.use("Agg")
    matplotlib.rcParams["svg.hashsalt"] = "encoder-context"  # the same figures give the same file
    matplotlib.rcParams["svg.fonttype"] = "none"  # text stays text
    pyplot = import_module("matplotlib.pyplot")
    panels = list(dict.fromkeys((row.model, row.spoken) for row in rows))
    drawing, all_axes = pyplot.subplots(1, len(panels), figsize=(4.5 * len(panels), 4.5), squeeze=False)
    for axes, panel in zip(all_axes[0], panels, strict=True):
        for row in rows:
            if (row.model, row.spoken) == panel and row.errors and row.cpu:
                axes.plot(row.cpu.value, 100 * row.errors.value, "o", label=row.policy)
        axes.set(title=", ".join(panel), xlabel="CPU seconds per second of audio", ylabel="errors, %")
        axes.set_xlim(0, 1.1 * axes.dataLim.xmax)
        axes.set_ylim(0, 1.1 * axes.dataLim.ymax)
        axes.grid(alpha=0.3)
    all_axes[0][0].legend(fontsize="small")
    drawing.tight_layout()
    drawing.savefig(path, metadata={"Date": None})
    pyplot.close(drawing)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the comparison; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.experiments.encoder_context")
    parser.add_argument("--data", type=Path, default=SHARED_RECORDINGS, help="folder with references.tsv")
    parser.add_argument("--models", nargs="+", default=["base"])
    parser.add_argument("--limit", type=int, help="at most so many recordings of each language")
    parser.add_argument("--longest", type=float, default=float("inf"), help="seconds of a recording, at most")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="draw the rows into an SVG file")
    options = parser.parse_args(arguments)
    recordings = load(take(read_references(options.data), options.limit), options.longest)
    random.Random(0).shuffle(recordings)  # an interrupted run has all languages
    rows = compare(options.models, recordings)
    head = ("model", "spoken", "encoder sees", "recordings", "errors", "CPU seconds per second of audio")
    cells = [(r.model, r.spoken, r.policy, str(r.recordings), percent(r.errors), decimal(r.cpu, 3)) for r in rows]
    print(table(head, cells))
    if options.plot:
        plot(rows, options.plot)
    return 0


if __name__ == "__main__":
    # A shell lets commands in the background ignore SIGINT.
    for interrupt in (signal.SIGINT, signal.SIGTERM):
        signal.signal(interrupt, signal.default_int_handler)
    sys.exit(main())
