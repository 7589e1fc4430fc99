"""Tables, a CSV file and plots of measurements: ratios first, then medians with quartiles."""

from __future__ import annotations

import csv
import math
import statistics
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from benchmarks.plan import CONTENDERS, FLOOR, PEERS, SERVICE, Case

CSV_FIELDS = ("contender", "clip_s", "clients", "beam", "repetition", "load_s", "load_cpu_s", "latency_s")
MIN_FOR_SPREAD = 2


@dataclass(frozen=True, slots=True)
class Measurement:
    """One contender under one load.

    seconds: of the whole load. latencies: per request, seconds. cpu: CPU-seconds of the contender.
    """

    case: Case
    contender: str
    repetition: int
    seconds: float
    latencies: tuple[float, ...]
    cpu: float

    @property
    def throughput(self) -> float:
        """Seconds of audio per second."""
        return self._audio / self.seconds

    @property
    def cpu_cost(self) -> float:
        """CPU-seconds per second of audio."""
        return self.cpu / self._audio

    @property
    def _audio(self) -> float:
        return self.case.clip * len(self.latencies)


@dataclass(frozen=True, slots=True)
class Figure:
    """A median with its quartiles."""

    median: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{short(self.median)} ({short(self.low)}–{short(self.high)})"


def figure(values: Sequence[float]) -> Figure:
    """The median and quartiles; a single value stands for all three. Raises StatisticsError if there are no values."""
    median = statistics.median(values)
    if len(values) < MIN_FOR_SPREAD:
        return Figure(median, median, median)
    low, _, high = statistics.quantiles(values, n=4, method="inclusive")
    return Figure(median, low, high)


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that a share (0..1) of the values does not exceed."""
    ranked = sorted(values)
    return ranked[max(0, math.ceil(share * len(ranked)) - 1)]


def short(value: float) -> str:
    """Three significant digits, without an exponent."""
    digits = 2 if value == 0 else max(0, 2 - math.floor(math.log10(abs(value))))
    return f"{value:.{min(digits, 4)}f}"


@dataclass(frozen=True, slots=True)
class Summary:
    """The figures of one case by contender."""

    case: Case
    throughput: Mapping[str, Figure]
    latency: Mapping[str, Figure]
    cpu_cost: Mapping[str, Figure]

    @property
    def best_peer(self) -> str | None:
        """The peer with the highest throughput."""
        peers = [name for name in PEERS if name in self.throughput]
        return max(peers, key=lambda name: self.throughput[name].median, default=None)

    def ratio(self, other: str | None) -> float | None:
        """The service's throughput divided by the other's; None if one of them did not run."""
        if other is None or other not in self.throughput or SERVICE not in self.throughput:
            return None
        return self.throughput[SERVICE].median / self.throughput[other].median


def summarize(measurements: Iterable[Measurement]) -> list[Summary]:
    """Repetitions combined, in order of the cases."""
    groups: dict[Case, dict[str, list[Measurement]]] = defaultdict(lambda: defaultdict(list))
    for measurement in measurements:
        groups[measurement.case][measurement.contender].append(measurement)
    return [
        Summary(
            case,
            {name: figure([run.throughput for run in runs]) for name, runs in by_name.items()},
            {name: figure([value for run in runs for value in run.latencies]) for name, runs in by_name.items()},
            {name: figure([run.cpu_cost for run in runs]) for name, runs in by_name.items()},
        )
        for case, by_name in sorted(groups.items())
    ]


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table. The first column is text, the others are figures."""
    lines = [header, ["---", *["---:"] * (len(header) - 1)], *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def label(case: Case) -> str:
    """A case in words."""
    clients = "1 client" if case.clients == 1 else f"{case.clients} clients"
    return f"{case.clip:g} s, beam {case.beam}, {clients}"


def ratio_table(summaries: Sequence[Summary]) -> str:
    """The service compared with the best peer and with the floor."""
    rows = []
    for summary in summaries:
        peer, floor = summary.ratio(summary.best_peer), summary.ratio(FLOOR)
        rows.append(
            (
                label(summary.case),
                "-" if peer is None else f"{peer:.2f} × {summary.best_peer}",
                "-" if floor is None else f"{1 / floor:.2f}",
            )
        )
    return table(("case", "throughput of the service", "floor / service"), rows)


def figure_table(summaries: Sequence[Summary], figures_of: Callable[[Summary], Mapping[str, Figure]]) -> str:
    """Medians with quartiles. figures_of: what is shown of a case, by contender."""
    ran = {name for summary in summaries for name in summary.throughput}
    names = [name for name in CONTENDERS if name in ran]
    rows = []
    for summary in summaries:
        figures = figures_of(summary)
        rows.append((label(summary.case), *(str(figures.get(name, "-")) for name in names)))
    return table(("case", *names), rows)


@dataclass(frozen=True, slots=True)
class Results:
    """All that was measured, except for memory. What was left out is empty.

    alone, mixed: latencies of short clips, and of the same during a long file, by contender. fallback: of a clip that
    needs it, by contender. probes: of other routes, by path. All in seconds. scripted: whether the checkpoint was.
    """

    summaries: Sequence[Summary]
    alone: Mapping[str, Sequence[float]]
    mixed: Mapping[str, Sequence[float]]
    fallback: Mapping[str, Sequence[float]]
    probes: Mapping[str, Sequence[float]]
    scripted: bool = False


def mix_table(alone: Mapping[str, Sequence[float]], mixed: Mapping[str, Sequence[float]]) -> str:
    """Latency of short clips, alone and during a long file."""
    rows = []
    for name, latencies in mixed.items():
        lone, beside = figure(alone[name]), figure(latencies)
        rows.append((name, f"{beside.median / lone.median:.2f}", str(lone), str(beside), str(len(latencies))))
    return table(("contender", "mix / alone", "alone, s", "in the mix, s", "requests"), rows)


def fallback_table(latencies: Mapping[str, Sequence[float]]) -> str:
    """Latency of a clip that needs fallback."""
    rows = [(name, str(figure(values)), str(len(values))) for name, values in latencies.items()]
    return table(("contender", "latency, s", "requests"), rows)


def write_csv(measurements: Iterable[Measurement], path: Path) -> None:
    """Write one row per request."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(CSV_FIELDS)
        for run in measurements:
            for latency in run.latencies:
                place = (run.contender, run.case.clip, run.case.clients, run.case.beam, run.repetition)
                writer.writerow((*place, f"{run.seconds:.4f}", f"{run.cpu:.4f}", f"{latency:.4f}"))


def plot(measurements: Sequence[Measurement], folder: Path) -> list[Path]:
    """Plot throughput by clients, the distribution of latency, and cost by duration.

    Raises ImportError without matplotlib.
    """
    # Imported here: matplotlib is optional.
    import_module("matplotlib").use("Agg")
    pyplot = import_module("matplotlib.pyplot")
    summaries = summarize(measurements)
    beam = max(summary.case.beam for summary in summaries)
    chosen = [summary for summary in summaries if summary.case.beam == beam]
    charts: dict[str, dict[str, list[tuple[float, float]]]] = {"throughput": {}, "latency": {}, "cost": {}}
    clip = max((s.case.clip for s in chosen if s.case.clients > 1), default=chosen[-1].case.clip)
    most_clients = max(s.case.clients for s in chosen if s.case.clip == clip)
    for name in CONTENDERS:
        for summary in (s for s in chosen if name in s.throughput):
            case, rate = summary.case, summary.throughput[name].median
            if case.clip == clip:
                charts["throughput"].setdefault(name, []).append((case.clients, rate))
            if case.clients == 1:
                charts["cost"].setdefault(name, []).append((case.clip, 1 / rate))
        values = sorted(
            value
            for run in measurements
            if run.contender == name and run.case == Case(clip, most_clients, beam)
            for value in run.latencies
        )
        if values:
            points = [(value, (index + 1) / len(values)) for index, value in enumerate(values)]
            charts["latency"][name] = points
    titles = {
        "throughput": (f"{clip:g} s clips, beam {beam}", "clients", "seconds of audio per second"),
        "latency": (f"{clip:g} s clips, beam {beam}, {most_clients} clients", "latency, s", "share of requests"),
        "cost": (f"one client, beam {beam}", "duration of the clip, s", "seconds per second of audio"),
    }
    written = []
    for chart, lines in charts.items():
        drawing, axes = pyplot.subplots(figsize=(7, 4.5))
        draw(axes, lines, *titles[chart])
        if chart == "cost":
            axes.set_xscale("log")
            axes.set_yscale("log")
        written.append(folder / f"{chart}.png")
        drawing.tight_layout()
        drawing.savefig(written[-1], dpi=120)
        pyplot.close(drawing)
    return written


def draw(axes: Any, lines: Mapping[str, Sequence[tuple[float, float]]], title: str, x: str, y: str) -> None:
    """Draw one line per contender."""
    for name, points in lines.items():
        axes.plot(*zip(*points, strict=True), marker="o", markersize=3, label=name)
    axes.set(title=title, xlabel=x, ylabel=y)
    axes.grid(alpha=0.3)
    axes.legend()
