"""Measure all sensible layouts of a model on this machine, and store the fastest for WHISPER_LAYOUT=auto.

`auto` itself measures a few layouts when the service first starts, for at most ten seconds. This is thorough: full
windows, all batch sizes, several interleaved repetitions. Run it with `python -m benchmarks.tune --model base`.
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
from runners.batching.tuning import LAYOUTS_FILE, Choice, LayoutStore, ModelBench, Trial, choose, machine_key
from runners.decode.model import open_model
from runners.models.catalogue import canonical, resolve
from runners.placement import CUDA, DeviceLayout, available_cores, choose_placement
from transcription.core.errors import TranscriptionError
from transcription.core.settings import Settings
from transcription.system.malloc import KEEP_MEMORY

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


def measure(bench: ModelBench, layouts: Sequence[DeviceLayout], repetitions: int) -> dict[DeviceLayout, list[float]]:
    """Windows per second of each layout, by repetition. Layouts that exceed the device's memory are left out."""
    rates: dict[DeviceLayout, list[float]] = {}
    broken: set[DeviceLayout] = set()
    for repetition in range(repetitions):
        for layout in layouts:
            if layout in broken:
                continue
            try:
                trial = bench.try_out(layout)
            except (RuntimeError, MemoryError) as error:
                broken.add(layout)
                print(f"{layout!s:>9}  left out: {error}", flush=True)
                continue
            rates.setdefault(layout, []).append(trial.rate)
            print(f"{layout!s:>9}  {trial.rate:8.3f} windows per second  ({repetition + 1}/{repetitions})", flush=True)
    return {layout: values for layout, values in rates.items() if layout not in broken}


def report(rates: dict[DeviceLayout, list[float]], choice: Choice) -> str:
    """A table of the layouts, fastest first."""
    figures = {layout: figure(values) for layout, values in rates.items()}
    default = next(iter(figures.values())).median
    rows = [
        (
            f"**{layout}**" if layout == choice.layout else str(layout),
            str(rate),
            f"{rate.median / default:.2f}",
            f"{layout.slots * layout.batch / rate.median:.2f}",
        )
        for layout, rate in sorted(figures.items(), key=lambda item: -item[1].median)
    ]
    return table(("slots x threads x batch", "windows per second", "ratio to the default", "seconds per batch"), rows)


def plot(rates: dict[DeviceLayout, list[float]], name: str, path: Path) -> None:
    """Plot throughput by batch size, one line per number of slots. Raises ImportError without matplotlib."""
    import_module("matplotlib").use("Agg")  # optional
    drawing, axes = import_module("matplotlib.pyplot").subplots(figsize=(7, 4.5))
    lines: dict[str, list[tuple[int, float]]] = {}
    for layout, values in sorted(rates.items(), key=lambda item: item[0].batch):
        shape = f"{layout.slots} x {layout.threads} thread{'s' if layout.threads > 1 else ''}"
        lines.setdefault(shape, []).append((layout.batch, figure(values).median))
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
    parser.add_argument("--repetitions", type=int, default=3)
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
    rates = measure(bench, grid(placement.device, cores, batches), arguments.repetitions)
    trials = [Trial(layout, figure(values).median) for layout, values in rates.items()]
    choice = choose(trials, likely_layout(placement.device, cores))
    title = f"{settings.whisper_model}, {placement.compute_type} on {placement.device}, {cores} cores"
    print(f"\n{title}\n\n{report(rates, choice)}\n")
    try:
        plot(rates, title, arguments.plot)
        print(f"Plot: {arguments.plot}")
    except ImportError:
        print("No plot without matplotlib: pip install '.[bench]'.")
    if not arguments.no_save:
        key = machine_key(canonical(settings.whisper_model), folder, placement, cores)
        LayoutStore(settings.cache_dir / LAYOUTS_FILE).save(key, choice.layout, trials)
        print(f"WHISPER_LAYOUT=auto now uses {choice.layout} for this model on this machine.")
    return 0


if __name__ == "__main__":
    if any(os.environ.get(name) != value for name, value in KEEP_MEMORY.items()):
        # The runner's allocator settings are read when a process starts.
        os.execve(
            sys.executable, [sys.executable, "-m", "benchmarks.tune", *sys.argv[1:]], {**os.environ, **KEEP_MEMORY}
        )
    sys.exit(main())
