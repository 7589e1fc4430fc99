"""Measure all sensible layouts of a model on this machine, and store the best for WHISPER_LAYOUT=auto.

`auto` itself measures a few layouts while the service is idle. This is thorough: all numbers of slots and all batch
sizes. Nothing else may run meanwhile. Run it with `python -m benchmarks.tune --model base`.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

from benchmarks.report import figure, table
from runners.batching.layout import default_layout, likely_layout
from runners.batching.trials import ModelBench
from runners.batching.tuning import ROUNDS, Choice, Trial, conclude, machine_key, typical_speeds
from runners.decode.model import open_model
from runners.models.catalogue import canonical, resolve
from runners.placement import CUDA, DeviceLayout, available_cores, choose_placement
from runners.start_layout import layout_store
from transcription.core.errors import TranscriptionError
from transcription.core.settings import Settings
from transcription.system.malloc import KEEP_MEMORY
from transcription.system.openmp import WAIT_PASSIVELY

CPU_BATCHES = (1, 2, 4, 8)
GPU_BATCHES = (1, 4, 8, 16, 32, 64)
GPU_SLOTS = (1, 2, 3)


def grid(device: str, cores: int, batches: Sequence[int]) -> list[DeviceLayout]:
    """All layouts that use the whole device, faster-whisper's default first."""
    if device == CUDA:
        shapes = [(slots, 1) for slots in GPU_SLOTS]
    else:
        shapes = [(slots, cores // slots) for slots in range(1, cores + 1) if cores % slots == 0]
    layouts = [DeviceLayout(slots, threads, batch) for slots, threads in shapes for batch in batches]
    return list(dict.fromkeys((default_layout(device, cores), *layouts)))


def measure(bench: ModelBench, layouts: Sequence[DeviceLayout], repetitions: int) -> list[Trial]:
    """Trials of every layout, in turn. One that exceeds the device's memory is tried only once."""
    trials: list[Trial] = []
    broken: set[DeviceLayout] = set()
    for repetition in range(repetitions):
        for layout in layouts:
            if layout in broken:
                continue
            trial = bench.try_out(layout)
            trials.append(trial)
            if trial.failed:
                broken.add(layout)
            outcome = "no memory" if trial.failed else f"{trial.speed.rate:8.3f} windows per second"
            note = f", other processes used the cores for {trial.waited:.0%} of it" if trial.disturbed else ""
            print(f"{layout!s:>9}  {outcome}  ({repetition + 1}/{repetitions}){note}", flush=True)
    return trials


def figures_of(trials: Sequence[Trial]) -> dict[DeviceLayout, tuple[list[float], list[float]]]:
    """Seconds of a lone window and windows per second of each layout that fits into memory, by repetition."""
    return {
        layout: (
            [trial.speed.lone for trial in trials if trial.layout == layout],
            [trial.speed.rate for trial in trials if trial.layout == layout],
        )
        for layout in typical_speeds(trials)
    }


def report(trials: Sequence[Trial], choice: Choice) -> str:
    """A table of the layouts, fastest first."""
    figures = {layout: (figure(lone), figure(rates)) for layout, (lone, rates) in figures_of(trials).items()}
    rows = [
        (f"**{layout}**" if choice.measured and layout == choice.layout else str(layout), str(lone), str(rate))
        for layout, (lone, rate) in sorted(figures.items(), key=lambda item: -item[1][1].median)
    ]
    return table(("slots x threads x batch", "seconds of a lone window", "windows per second"), rows)


def plot(trials: Sequence[Trial], name: str, path: Path) -> None:
    """Plot throughput by batch size, one line per number of slots. Raises ImportError without matplotlib."""
    import_module("matplotlib").use("Agg")  # optional
    drawing, axes = import_module("matplotlib.pyplot").subplots(figsize=(7, 4.5))
    lines: dict[str, list[tuple[int, float]]] = {}
    for layout, (_, rates) in sorted(figures_of(trials).items(), key=lambda item: item[0].batch):
        shape = f"{layout.slots} x {layout.threads} thread{'s' if layout.threads > 1 else ''}"
        lines.setdefault(shape, []).append((layout.batch, figure(rates).median))
    for shape, points in lines.items():
        axes.plot(*zip(*points, strict=True), marker="o", label=shape)
    axes.set(title=f"{name}: slots x threads", xlabel="windows in a batch", ylabel="windows per second", ylim=(0, None))
    axes.set_xscale("log", base=2)
    axes.grid(alpha=0.3)
    axes.legend()
    drawing.tight_layout()
    drawing.savefig(path, dpi=120)


def parse(settings: Settings) -> argparse.Namespace:
    """The command line. The defaults are the service's settings."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--model", default=settings.whisper_model, help="a name of GET /models (%(default)s)")
    parser.add_argument("--model-dir", type=Path, default=settings.whisper_model_dir, help="WHISPER_MODEL_DIR")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default=settings.whisper_device)
    parser.add_argument("--compute-type", default=settings.whisper_compute_type, help="WHISPER_COMPUTE_TYPE")
    parser.add_argument("--batches", nargs="+", type=int, help="batch sizes to try")
    parser.add_argument("--repetitions", type=int, default=ROUNDS)
    parser.add_argument("--plot", type=Path, default=Path("tune.png"), help="file for the plot (%(default)s)")
    parser.add_argument("--no-save", action="store_true", help="do not store the result for the service")
    return parser.parse_args()


def main() -> int:
    """Run the measurement; returns the exit code."""
    settings = Settings()
    arguments = parse(settings)
    settings = Settings(
        whisper_model=arguments.model,
        whisper_model_dir=arguments.model_dir,
        whisper_device=arguments.device,
        whisper_compute_type=arguments.compute_type,
    )
    placement, cores = choose_placement(settings), available_cores()
    try:
        folder = resolve(settings.whisper_model, settings)
    except TranscriptionError as error:
        print(error.message, file=sys.stderr)
        return 1
    batches = arguments.batches or (GPU_BATCHES if placement.device == CUDA else CPU_BATCHES)
    bench = ModelBench(lambda layout: open_model(settings.whisper_model, folder, placement, layout))
    layouts = grid(placement.device, cores, batches)
    trials = measure(bench, layouts, arguments.repetitions)
    tried = [layout for layout in layouts if layout in typical_speeds(trials)]
    choice = conclude(trials, tried, likely_layout(placement.device, cores), arguments.repetitions)
    title = f"{settings.whisper_model}, {placement.compute_type} on {placement.device}, {cores} cores"
    print(f"\n{title}\n\n{report(trials, choice)}\n")
    try:
        plot(trials, title, arguments.plot)
        print(f"Plot: {arguments.plot}")
    except ImportError:
        print("No plot without matplotlib: pip install '.[bench]'.")
    if not choice.measured:
        print(f"{choice.reason}. Nothing is stored.")
    elif not arguments.no_save:
        key = machine_key(canonical(settings.whisper_model), folder, placement, cores)
        layout_store(settings).save(key, choice.layout, typical_speeds(trials))
        print(f"WHISPER_LAYOUT=auto now uses {choice.layout} for this model on this machine.")
    return 0


if __name__ == "__main__":
    as_in_the_runner = {**KEEP_MEMORY, **WAIT_PASSIVELY}
    if any(os.environ.get(name) != value for name, value in as_in_the_runner.items()):
        # Both are read when a process starts.
        os.execve(
            sys.executable, [sys.executable, "-m", "benchmarks.tune", *sys.argv[1:]], {**os.environ, **as_in_the_runner}
        )
    sys.exit(main())
