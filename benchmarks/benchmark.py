"""Compare the service with its peers: the same weights, on this machine, in one run.

`python -m benchmarks.benchmark --output results` takes hours on two cores; `--quick` takes minutes and tests the
benchmark itself. docs/PERFORMANCE.md describes what is measured.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from operator import attrgetter
from pathlib import Path

import ctranslate2
import faster_whisper

from benchmarks import report
from benchmarks.clips import Clip, Samples, bilingual_clip, make_clips, utterances
from benchmarks.evaluate.systems import MAX_DURATION
from benchmarks.goals import check, goal_table
from benchmarks.load import PROBE_INTERVAL, Probe, Service, probing, run_load, run_mix
from benchmarks.peers import Contender, FloorCaller, load_peers
from benchmarks.plan import CONTENDERS, FLOOR, LONG_CLIP, SERVICE, WEBSERVICE, WEBSERVICE_BEAM, cases, interleave
from benchmarks.weights import SCRIPTED_MODELS, Weights, released, scripted
from runners.placement import DeviceLayout, Placement, available_cores, choose_placement
from runners.start_layout import choose_start
from tests.support.service import ROOT, local_service
from transcription.core.errors import TranscriptionError
from transcription.core.settings import Settings

SHORT_CLIP = 3.0  # seconds, the clips of the mix
FALLBACK_REQUESTS = 3  # per repetition; their latencies vary, since tokens are drawn at random


@dataclass(frozen=True, slots=True)
class Plan:
    """The measurements to make.

    clips: durations, seconds. variants: different clips of each duration below LONG_CLIP.
    requests: per client and case, at least; every clip is sent. mix: duration of the long file, seconds; 0 leaves the
    mix out. fallback: whether a clip that needs it is measured. probe_interval: seconds between requests to the routes
    that need no model.
    """

    clips: Sequence[float]
    variants: int
    clients: Sequence[int]
    beams: Sequence[int]
    repetitions: int
    requests: int
    mix: float
    mix_requests: int
    fallback: bool
    probe_interval: float = PROBE_INTERVAL


FULL = Plan(
    clips=(3.0, 11.0, 29.0, 600.0, 3600.0),
    variants=8,
    clients=(1, 2, 8, 32),
    beams=(1, 5),
    repetitions=3,
    requests=1,
    mix=3600.0,
    mix_requests=8,
    fallback=True,
)
QUICK = Plan(
    clips=(3.0,),
    variants=2,
    clients=(1, 2),
    beams=(5,),
    repetitions=1,
    requests=1,
    mix=60.0,
    mix_requests=2,
    fallback=False,  # its model knows English only
)


@dataclass(slots=True, frozen=True)
class Bench:
    """The contenders, the recordings by duration, and the plan to run them by."""

    contenders: Mapping[str, Contender]
    clips: Mapping[float, Sequence[Clip]]
    plan: Plan
    probe: Probe

    def measure(self) -> list[report.Measurement]:
        """Run every case, the contenders in turn."""
        results = []
        plan = cases(self.plan.clips, self.plan.clients, self.plan.beams)
        for run in interleave(plan, tuple(self.contenders), self.plan.repetitions):
            self.probe.work = f"{run.case.clip:g} s clips" if run.contender == SERVICE else ""
            clips, clients = self.clips[run.case.clip], run.case.clients
            load = run_load(
                self.contenders[run.contender],
                clips,
                run.case.beam,
                clients=clients,
                requests=max(clients * self.plan.requests, len(clips)),
            )
            result = report.Measurement(run.case, run.contender, run.repetition, load.seconds, load.latencies, load.cpu)
            results.append(result)
            print(f"{report.label(run.case):32} {run.contender:32} {load.seconds:8.2f} s", flush=True)
        return results

    def measure_mix(self) -> tuple[dict[str, list[float]], dict[str, list[float]]]:
        """Latencies of short clips by contender, seconds: alone, and while the long file is transcribed."""
        alone: dict[str, list[float]] = {}
        mixed: dict[str, list[float]] = {}
        short, [long] = self.clips[SHORT_CLIP], self.clips[self.plan.mix]
        for name, contender in self.contenders.items():
            if name == FLOOR:
                continue  # it has no scheduling to compare
            beam = self._beam_of(name)
            self.probe.work = "mix" if name == SERVICE else ""
            lone = run_load(contender, short, beam, clients=1, requests=self.plan.mix_requests)
            alone[name] = list(lone.latencies)
            mixed[name] = run_mix(contender, long, short, beam, self.plan.mix_requests)
            beside, lone_figure = report.figure(mixed[name]), report.figure(alone[name])
            print(f"{'mix':32} {name:32} {beside} s, alone {lone_figure} s", flush=True)
        return alone, mixed

    def measure_fallback(self, clip: Clip) -> dict[str, list[float]]:
        """Latencies of a lone clip that needs fallback, by contender, seconds."""
        latencies: dict[str, list[float]] = {name: [] for name in self.contenders if name != FLOOR}
        for _ in range(self.plan.repetitions):
            for name, measured in latencies.items():
                self.probe.work = "fallback" if name == SERVICE else ""
                beam = self._beam_of(name)
                load = run_load(self.contenders[name], [clip], beam, clients=1, requests=FALLBACK_REQUESTS)
                measured += load.latencies
                print(f"{'fallback':32} {name:32} {load.seconds:8.2f} s", flush=True)
        return latencies

    def warm_up(self) -> None:
        """Send one request to each, so that memory is allocated and files are cached. Reports empty transcripts."""
        shortest = self.clips[min(self.clips)][0]
        for name, contender in self.contenders.items():
            if not contender.transcribe(shortest, self._beam_of(name), threading.Event()).strip():
                # Not an error: the embedded model knows few words, and the recordings may contain none of them.
                print(f"{name}: empty transcript of {shortest.path.name}", flush=True)

    def _beam_of(self, name: str) -> int:
        return WEBSERVICE_BEAM if name == WEBSERVICE else max(self.plan.beams)


def describe(weights: Weights, placement: Placement, layout: DeviceLayout, recordings: int) -> str:
    """The model, machine and versions, for the head of the report. recordings: that the clips are made from."""
    machine = f"{available_cores()} cores" if placement.device == "cpu" else "GPU"
    kind = "scripted checkpoint, ENCODER_CONTEXT=full, " if weights.scripted else ""
    return (
        f"Model `{weights.folder.name}`, {kind}{placement.compute_type} on {placement.device} ({machine}), "
        f"layout {layout}; faster-whisper {faster_whisper.__version__}, "
        f"ctranslate2 {ctranslate2.__version__}; clips of {recordings} recordings."
    )


def render(head: str, results: report.Results, memory: Mapping[str, int]) -> str:
    """The report in Markdown, ratios first. memory: peak of the API process by load, bytes."""
    parts = [head, "## Ratios", report.ratio_table(results.summaries)]
    if reached := check(results):
        parts += ["## Goals (set for base on two cores)", goal_table(reached)]
    if results.mixed:
        parts += ["## Short clips during a long file", report.mix_table(results.alone, results.mixed)]
    if results.fallback:
        parts += ["## A clip in two languages, which needs fallback", report.fallback_table(results.fallback)]
    for title, figures_of in (
        ("Throughput, seconds of audio per second", "throughput"),
        ("Latency, seconds", "latency"),
        ("CPU-seconds per second of audio", "cpu_cost"),
    ):
        parts += [f"## {title}", report.figure_table(results.summaries, attrgetter(figures_of))]
    rows = [
        (path, str(len(values)), *(f"{1000 * report.percentile(values, share):.0f}" for share in (0.5, 0.99, 1.0)))
        for path, values in results.probes.items()
    ]
    parts += [
        "## Other routes under load",
        report.table(("route", "requests", "median, ms", "p99, ms", "worst, ms"), rows),
    ]
    peaks = [(work, f"{peak / 1e6:.0f}") for work, peak in memory.items()]
    parts.append(report.table(("load", "peak memory of the API process, MB"), peaks))
    return "\n\n".join(parts) + "\n"


def write_clips(plan: Plan, source: Sequence[Samples], folder: Path) -> dict[float, tuple[Clip, ...]]:
    """The clips of the plan by duration, seconds."""
    lengths = {*plan.clips, *((SHORT_CLIP, plan.mix) if plan.mix else ())}
    return {each: make_clips(source, each, plan.variants if each < LONG_CLIP else 1, folder) for each in lengths}


def run(plan: Plan, weights: Weights, names: Sequence[str], device: str, layout_text: str, output: Path) -> None:
    """Measure and write all results into `output`."""
    settings = Settings(
        whisper_device=device,
        whisper_layout=layout_text,
        whisper_model=weights.folder.name,
        whisper_model_dir=weights.folder.parent,
    )
    placement = choose_placement(settings)
    # Given to the service, too, so that it does not measure layouts beside its peers.
    layout = choose_start(settings, placement, available_cores()).choice.layout
    output.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="benchmark-") as folder:
        source = utterances()
        clips = write_clips(plan, source, Path(folder))
        environment = {
            **weights.settings(),
            "WHISPER_DEVICE": placement.device,
            "WHISPER_COMPUTE_TYPE": placement.compute_type,
            "WHISPER_LAYOUT": str(layout),
            "TEMP_DIR": f"{folder}/uploads",
            "MAX_DURATION": str(MAX_DURATION),
            "MAX_QUEUE_SECONDS": "36000",
        }
        with (
            local_service(environment, output / "service.log") as service,
            probing(service, plan.probe_interval) as probe,
        ):
            prepared = (clip for seconds in plan.clips for clip in clips[seconds])
            with contextlib.closing(FloorCaller(weights.folder, placement, layout, prepared)) as floor:
                contenders: dict[str, Contender] = {
                    SERVICE: Service(service.url, service.process.pid),
                    FLOOR: floor,
                    **load_peers(weights.folder, placement),
                }
                bench = Bench({name: contenders[name] for name in names if name in contenders}, clips, plan, probe)
                bench.warm_up()
                measurements = bench.measure()
                alone, mixed = bench.measure_mix() if plan.mix else ({}, {})
                fallback = bench.measure_fallback(bilingual_clip(Path(folder))) if plan.fallback else {}
    report.write_csv(measurements, output / "requests.csv")
    summaries = report.summarize(measurements)
    results = report.Results(summaries, alone, mixed, fallback, probe.latencies, weights.scripted)
    text = render(describe(weights, placement, layout, len(source)), results, probe.memory)
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
    parser.add_argument("--model", help="a name of GET /models, or with --scripted a size of benchmarks.make_model")
    parser.add_argument(
        "--scripted", action="store_true", help="write a checkpoint with the cost of a released size and a fixed text"
    )
    parser.add_argument(
        "--model-dir", type=Path, help=f"folder of models (default: WHISPER_MODEL_DIR; scripted: {SCRIPTED_MODELS})"
    )
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    parser.add_argument("--layout", default="auto", help="WHISPER_LAYOUT of the service; the floor uses the same")
    parser.add_argument("--output", type=Path, default=ROOT / "benchmark-results", help="folder for results")
    parser.add_argument("--contenders", nargs="+", choices=CONTENDERS, default=list(CONTENDERS))
    parser.add_argument("--clips", nargs="+", type=float, help="durations, seconds")
    parser.add_argument("--clients", nargs="+", type=int)
    parser.add_argument("--beams", nargs="+", type=int)
    parser.add_argument("--repetitions", type=int)
    parser.add_argument("--requests", type=int, help="requests per client and case, at least; every clip is sent")
    parser.add_argument("--mix", type=float, help="duration of the long file in the mix, seconds; 0 leaves the mix out")
    parser.add_argument(
        "--fallback",
        action=argparse.BooleanOptionalAction,
        help="measure a clip in two languages as well, which needs fallback; never with --scripted",
    )
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
    options = {field.name: getattr(arguments, field.name, None) for field in fields(Plan)}
    plan = replace(base, **{name: value for name, value in options.items() if value is not None})
    started = time.monotonic()
    choose = scripted if arguments.scripted else released
    try:
        weights = choose(arguments.model, arguments.model_dir, quick=arguments.quick)
    except TranscriptionError as error:
        print(f"error: {error.message} {error.detail}".strip(), file=sys.stderr)
        return 1
    except FileNotFoundError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    if weights.scripted:
        plan = replace(plan, fallback=False)  # its text is certain whatever the audio
    run(plan, weights, arguments.contenders, arguments.device, arguments.layout, arguments.output)
    print(f"Took {time.monotonic() - started:.0f} s. The results are in {arguments.output}.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
