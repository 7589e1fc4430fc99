"""The project's performance goals for two cores and the base model, compared with measurements."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from benchmarks.plan import BATCHED, FASTER_WHISPER, FASTER_WHISPER_WORKERS, FLOOR, PEERS, SERVICE, Case
from benchmarks.report import Results, Summary, percentile, short, table

BEAM = 5
CLIENTS = 8
FULL_WINDOWS = Case(clip=29.0, clients=CLIENTS, beam=BEAM)
LONG, LONGEST = Case(clip=600.0, clients=1, beam=BEAM), Case(clip=3600.0, clients=1, beam=BEAM)

# By duration of the clip, seconds: throughput relative to faster-whisper's default and to its best layout, at least.
THROUGHPUT = {3.0: (8.0, 6.0), 11.0: (5.5, 3.5), 29.0: (4.0, 2.0)}
LATENCY_TO_BEST_PEER = {3.0: 0.3, 29.0: 0.6}  # of a lone clip, at most
FALLBACK_LATENCY_TO_BATCHED = 1.2  # at most
CPU_TO_FASTER_WHISPER = 0.65  # at most
FLOOR_TO_SERVICE = 1.10  # throughput, at most
MIX_TO_LONE_LATENCY = 3.0  # at most
LONGEST_TO_LONG_COST = 1.10  # seconds per second of audio, at most
PROBE_P99 = 0.1  # seconds, at most


@dataclass(frozen=True, slots=True)
class Goal:
    """A goal and its measured value. at_least: whether higher is better."""

    name: str
    limit: float
    value: float
    at_least: bool = False

    @property
    def met(self) -> bool:
        return self.value >= self.limit if self.at_least else self.value <= self.limit


def check(results: Results) -> list[Goal]:
    """The goals whose cases were measured."""
    by_case = {each.case: each for each in results.summaries if SERVICE in each.throughput}
    if results.scripted:
        # What every window costs is fixed, and comparable with the bare model's cost only. Speech is another matter.
        goals = [*_floor(by_case)]
    else:
        goals = [*_throughput(by_case), *_lone(by_case), *_fallback(results.fallback), *_cpu(by_case)]
    return [*goals, *_mix(results), *_longest(by_case), *_probes(results.probes)]


def goal_table(goals: Sequence[Goal]) -> str:
    """One row per goal."""
    rows = [
        (
            goal.name,
            f"{'at least' if goal.at_least else 'at most'} {short(goal.limit)}",
            short(goal.value),
            "yes" if goal.met else "no",
        )
        for goal in goals
    ]
    return table(("goal", "limit", "measured", "met"), rows)


def _throughput(by_case: Mapping[Case, Summary]) -> Iterator[Goal]:
    for clip, (over_default, over_best) in THROUGHPUT.items():
        summary = by_case.get(Case(clip, CLIENTS, BEAM))
        if summary is None or FASTER_WHISPER not in summary.throughput:
            continue
        name = f"throughput of {clip:g} s clips, {CLIENTS} clients / faster-whisper"
        ours, default = summary.throughput[SERVICE].median, summary.throughput[FASTER_WHISPER].median
        yield Goal(name, over_default, ours / default, at_least=True)
        if FASTER_WHISPER_WORKERS in summary.throughput:
            best = max(default, summary.throughput[FASTER_WHISPER_WORKERS].median)
            yield Goal(f"{name} in its best layout", over_best, ours / best, at_least=True)


def _lone(by_case: Mapping[Case, Summary]) -> Iterator[Goal]:
    for clip, limit in LATENCY_TO_BEST_PEER.items():
        summary = by_case.get(Case(clip, 1, BEAM))
        peers = [summary.latency[name].median for name in PEERS if name in summary.latency] if summary else []
        if summary and peers:
            ratio = summary.latency[SERVICE].median / min(peers)
            yield Goal(f"latency of a lone {clip:g} s clip / best peer", limit, ratio)


def _fallback(latencies: Mapping[str, Sequence[float]]) -> Iterator[Goal]:
    if SERVICE in latencies and BATCHED in latencies:
        ratio = statistics.median(latencies[SERVICE]) / statistics.median(latencies[BATCHED])
        yield Goal(f"latency of a clip that needs fallback / {BATCHED}", FALLBACK_LATENCY_TO_BATCHED, ratio)


def _cpu(by_case: Mapping[Case, Summary]) -> Iterator[Goal]:
    summary = by_case.get(LONG)
    if summary and FASTER_WHISPER in summary.cpu_cost:
        ratio = summary.cpu_cost[SERVICE].median / summary.cpu_cost[FASTER_WHISPER].median
        yield Goal("CPU per second of audio, 10 minutes / faster-whisper", CPU_TO_FASTER_WHISPER, ratio)


def _floor(by_case: Mapping[Case, Summary]) -> Iterator[Goal]:
    summary = by_case.get(FULL_WINDOWS)
    ratio = summary and summary.ratio(FLOOR)
    if ratio:
        yield Goal(
            f"throughput of {FULL_WINDOWS.clip:g} s clips, {CLIENTS} clients, floor / service",
            FLOOR_TO_SERVICE,
            1 / ratio,
        )


def _mix(results: Results) -> Iterator[Goal]:
    if results.mixed.get(SERVICE):
        ratio = statistics.median(results.mixed[SERVICE]) / statistics.median(results.alone[SERVICE])
        yield Goal("latency of a 3 s clip during a long file / alone", MIX_TO_LONE_LATENCY, ratio)


def _longest(by_case: Mapping[Case, Summary]) -> Iterator[Goal]:
    if LONG in by_case and LONGEST in by_case:
        cost = by_case[LONG].throughput[SERVICE].median / by_case[LONGEST].throughput[SERVICE].median
        yield Goal("cost of a second of audio, 60 minutes / 10 minutes", LONGEST_TO_LONG_COST, cost)


def _probes(probes: Mapping[str, Sequence[float]]) -> Iterator[Goal]:
    for path, values in probes.items():
        yield Goal(f"p99 of {path} under load, s", PROBE_P99, percentile(values, 0.99))
