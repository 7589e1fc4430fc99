"""Compare the service with its peers: the same weights, on this machine, in one run.

`python -m benchmarks.benchmark --model base --model-dir models-cache --output results` takes hours on two cores;
`--quick` takes minutes and tests the benchmark itself. docs/PERFORMANCE.md describes what is measured.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import ctranslate2
import faster_whisper

from benchmarks import report
from benchmarks.clips import Clip, make_clips
from benchmarks.goals import check, goal_table
from benchmarks.load import PROBE_INTERVAL, Probe, Service, probing, run_load, run_mix
from benchmarks.make_model import write_model
from benchmarks.peers import Contender, FloorCaller, load_peers
from benchmarks.plan import CONTENDERS, FLOOR, SERVICE, WEBSERVICE, WEBSERVICE_BEAM, cases, interleave
from runners.placement import DeviceLayout, Placement, available_cores, choose_placement
from runners.start_layout import choose_start
from tests.support.service import ROOT, local_service
from transcription.core.settings import Settings, default_cache

DEMO = ROOT / "models" / "demo"
SHORT_CLIP = 3.0  # seconds, the clips of the mix
QUICK_SIZE = "tiny"


@dataclass(frozen=True, slots=True)
class Plan:
    """The measurements to make.

    clips: durations, seconds. requests: per client. mix: duration of the long file, seconds; 0 leaves the mix out.
    probe_interval: seconds between requests to the routes that need no model.
    """

    clips: Sequence[float]
    clients: Sequence[int]
    beams: Sequence[int]
    repetitions: int
    requests: int
    mix: float
    mix_requests: int
    probe_interval: float = PROBE_INTERVAL


FULL = Plan(
    (3.0, 11.0, 29.0, 600.0, 3600.0), (1, 2, 8, 32), (1, 5), repetitions=3, requests=1, mix=3600.0, mix_requests=9
)
QUICK = Plan((3.0, 11.0), (1, 4), (5,), repetitions=1, requests=1, mix=60.0, mix_requests=2)


@dataclass(slots=True, frozen=True)
class Bench:
    """The contenders, the recordings, and the plan to run them by."""

    contenders: Mapping[str, Contender]
    clips: Mapping[float, Clip]
    plan: Plan
    probe: Probe

    def measure(self) -> list[report.Measurement]:
        """Run every case, the contenders in turn."""
        results = []
        plan = cases(self.plan.clips, self.plan.clients, self.plan.beams)
        for run in interleave(plan, tuple(self.contenders), self.plan.repetitions):
            self.probe.work = f"{run.case.clip:g} s clips" if run.contender == SERVICE else ""
            load = run_load(
                self.contenders[run.contender],
                self.clips[run.case.clip],
                run.case.beam,
                clients=run.case.clients,
                requests=self.plan.requests,
            )
            result = report.Measurement(run.case, run.contender, run.repetition, load.seconds, load.latencies)
            results.append(result)
            print(f"{report.label(run.case):32} {run.contender:26} {load.seconds:8.2f} s", flush=True)
        return results

    def measure_mix(self) -> tuple[dict[str, list[float]], dict[str, list[float]]]:
        """Latencies of short clips by contender, seconds: alone, and while the long file is transcribed."""
        alone: dict[str, list[float]] = {}
        mixed: dict[str, list[float]] = {}
        short, long = self.clips[SHORT_CLIP], self.clips[self.plan.mix]
        for name, contender in self.contenders.items():
            if name == FLOOR:
                continue  # it has no scheduling to compare
            beam = self._beam_of(name)
            self.probe.work = "mix" if name == SERVICE else ""
            lone = run_load(contender, short, beam, clients=1, requests=self.plan.mix_requests)
            alone[name] = list(lone.latencies)
            mixed[name] = list(run_mix(contender, long, short, beam, self.plan.mix_requests).latencies)
            beside, lone_figure = report.figure(mixed[name]), report.figure(alone[name])
            print(f"{'mix':32} {name:26} {beside} s, alone {lone_figure} s", flush=True)
        return alone, mixed

    def warm_up(self) -> None:
        """Send one request to each, so that memory is allocated and files are cached. Reports empty transcripts."""
        shortest = self.clips[min(self.clips)]
        for name, contender in self.contenders.items():
            if not contender.transcribe(shortest, self._beam_of(name), threading.Event()).strip():
                # Not an error: the embedded model knows few words, and the recordings may contain none of them.
                print(f"{name}: empty transcript of {shortest.path.name}", flush=True)

    def _beam_of(self, name: str) -> int:
        return WEBSERVICE_BEAM if name == WEBSERVICE else max(self.plan.beams)


def describe(model: str, placement: Placement, layout: DeviceLayout) -> str:
    """The model, machine and versions, for the head of the report."""
    machine = f"{available_cores()} cores" if placement.device == "cpu" else "GPU"
    return (
        f"Model `{model}`, {placement.compute_type} on {placement.device} ({machine}), "
        f"layout {layout}; faster-whisper {faster_whisper.__version__}, "
        f"ctranslate2 {ctranslate2.__version__}."
    )


def render(
    head: str,
    measurements: Sequence[report.Measurement],
    mix: tuple[dict[str, list[float]], dict[str, list[float]]] | None,
    probe: Probe,
) -> str:
    """The report in Markdown, ratios first."""
    summaries = report.summarize(measurements)
    parts = [head, "## Ratios", report.ratio_table(summaries)]
    if reached := check(summaries, mix[1] if mix else {}, probe.latencies):
        parts += ["## Goals (set for base on two cores)", goal_table(reached)]
    if mix is not None:
        parts += ["## Short clips during a long file", report.mix_table(*mix)]
    parts += ["## Throughput, seconds of audio per second", report.figure_table(summaries, latency=False)]
    parts += ["## Latency, seconds", report.figure_table(summaries, latency=True)]
    rows = [
        (path, str(len(values)), *(f"{1000 * report.percentile(values, share):.0f}" for share in (0.5, 0.99, 1.0)))
        for path, values in probe.latencies.items()
    ]
    parts += [
        "## Other routes under load",
        report.table(("route", "requests", "median, ms", "p99, ms", "worst, ms"), rows),
    ]
    memory = [(work, f"{peak / 1e6:.0f}") for work, peak in probe.memory.items()]
    parts.append(report.table(("load", "peak memory of the API process, MB"), memory))
    return "\n\n".join(parts) + "\n"


def choose_model(name: str | None, folder: Path, *, quick: bool) -> Path:
    """The folder of the model to measure. A missing released size is generated."""
    if name is None and not quick:
        name = "base"
    if name == DEMO.name:
        return DEMO
    chosen = folder / (name or QUICK_SIZE)
    if not (chosen / "model.bin").is_file():
        try:
            write_model(chosen.name, folder)
        except FileNotFoundError as error:
            if name is not None:
                raise
            print(f"{error}\nUsing the embedded model instead.", flush=True)
            return DEMO
    return chosen


def run(plan: Plan, model: Path, names: Sequence[str], device: str, layout_text: str, output: Path) -> None:
    """Measure and write all results into `output`."""
    settings = Settings(whisper_device=device, whisper_layout=layout_text)
    placement = choose_placement(settings)
    # Given to the service, too, so that it does not measure layouts beside its peers.
    layout = choose_start(
        settings.model_copy(update={"whisper_model": model.name, "whisper_model_dir": model.parent}),
        placement,
        available_cores(),
    ).choice.layout
    output.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="benchmark-") as folder:
        lengths = {*plan.clips, *((SHORT_CLIP, plan.mix) if plan.mix else ())}
        clips = make_clips(sorted(lengths), Path(folder))
        environment = {
            "WHISPER_MODEL": model.name,
            "WHISPER_MODEL_DIR": str(model.parent),
            "WHISPER_DEVICE": placement.device,
            "WHISPER_COMPUTE_TYPE": placement.compute_type,
            "WHISPER_LAYOUT": str(layout),
            "TEMP_DIR": f"{folder}/uploads",
            "MAX_DURATION": str(2 * int(max(lengths))),
            "MAX_QUEUE_SECONDS": "36000",
        }
        with (
            local_service(environment, output / "service.log") as service,
            probing(service, plan.probe_interval) as probe,
        ):
            floor = FloorCaller(model, placement, layout, (clips[seconds] for seconds in plan.clips))
            with contextlib.closing(floor):
                contenders = {SERVICE: Service(service.url), FLOOR: floor, **load_peers(model, placement)}
                bench = Bench({name: contenders[name] for name in names}, clips, plan, probe)
                bench.warm_up()
                measurements = bench.measure()
                mix = bench.measure_mix() if plan.mix else None
    report.write_csv(measurements, output / "requests.csv")
    text = render(describe(model.name, placement, layout), measurements, mix, probe)
    (output / "report.md").write_text(text, encoding="utf-8")
    print(f"\n{text}")
    try:
        drawn = report.plot(measurements, output)
    except ImportError:
        print("No plots without matplotlib: pip install '.[bench]'.")
    else:
        print("Plots: " + ", ".join(str(path) for path in drawn))


def parse() -> argparse.Namespace:
    """The command line. Options that are not given come from the plan."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--quick", action="store_true", help="a short run with a small model, under three minutes")
    parser.add_argument("--model", help="a size of benchmarks.make_model, demo, or any folder in --model-dir")
    parser.add_argument("--model-dir", type=Path, default=default_cache() / "benchmark", help="folder of models")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    parser.add_argument("--layout", default="auto", help="WHISPER_LAYOUT of the service; the floor uses the same")
    parser.add_argument("--output", type=Path, default=ROOT / "benchmark-results", help="folder for results")
    parser.add_argument("--contenders", nargs="+", choices=CONTENDERS, default=list(CONTENDERS))
    parser.add_argument("--clips", nargs="+", type=float, help="durations, seconds")
    parser.add_argument("--clients", nargs="+", type=int)
    parser.add_argument("--beams", nargs="+", type=int)
    parser.add_argument("--repetitions", type=int)
    parser.add_argument("--requests", type=int, help="requests per client and case")
    parser.add_argument("--mix", type=float, help="duration of the long file in the mix, seconds; 0 leaves the mix out")
    parser.add_argument(
        "--probe-interval",
        type=float,
        default=PROBE_INTERVAL,
        help="seconds between requests to /health and /status; shorter gives better tail figures and costs more",
    )
    return parser.parse_args()


def main() -> int:
    """Run the benchmark; returns the exit code."""
    arguments = parse()
    base = QUICK if arguments.quick else FULL
    plan = Plan(
        clips=arguments.clips or base.clips,
        clients=arguments.clients or base.clients,
        beams=arguments.beams or base.beams,
        repetitions=arguments.repetitions or base.repetitions,
        requests=arguments.requests or base.requests,
        mix=base.mix if arguments.mix is None else arguments.mix,
        mix_requests=base.mix_requests,
        probe_interval=arguments.probe_interval,
    )
    started = time.monotonic()
    try:
        model = choose_model(arguments.model, arguments.model_dir, quick=arguments.quick)
    except (FileNotFoundError, KeyError) as error:
        print(f"No such model: {error}", file=sys.stderr)
        return 1
    run(plan, model, arguments.contenders, arguments.device, arguments.layout, arguments.output)
    print(f"Took {time.monotonic() - started:.0f} s. The results are in {arguments.output}.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
