"""The project's performance goals for two cores and the base model, compared with measurements."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from benchmarks.plan import FLOOR, PEERS, SERVICE, Case
from benchmarks.report import Summary, figure, percentile, short, table

BEAM = 5
CONCURRENT = Case(clip=29.0, clients=8, beam=BEAM)
SINGLE = Case(clip=3.0, clients=1, beam=BEAM)
LONG, LONGEST = Case(clip=600.0, clients=1, beam=BEAM), Case(clip=3600.0, clients=1, beam=BEAM)

THROUGHPUT_TO_BEST_PEER = 2.0  # at least
FLOOR_TO_SERVICE = 1.10  # throughput, at most
SINGLE_LATENCY_TO_BEST_PEER = 1.0  # at most
MIX_TO_SINGLE_LATENCY = 3.0  # at most
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


def check(
    summaries: Sequence[Summary], mix: Mapping[str, Sequence[float]], probes: Mapping[str, Sequence[float]]
) -> list[Goal]:
    """The goals whose cases were measured.

    mix: latencies of short clips during a long file, by contender. probes: of other routes, by path. All in seconds.
    """
    by_case = {summary.case: summary for summary in summaries if SERVICE in summary.throughput}
    goals = [*_concurrent(by_case.get(CONCURRENT)), *_single(by_case.get(SINGLE), mix)]
    if LONG in by_case and LONGEST in by_case:
        cost = by_case[LONG].throughput[SERVICE].median / by_case[LONGEST].throughput[SERVICE].median
        goals.append(Goal("cost of a second of audio, 60 minutes / 10 minutes", LONGEST_TO_LONG_COST, cost))
    for path, values in probes.items():
        goals.append(Goal(f"p99 of {path} under load, s", PROBE_P99, percentile(values, 0.99)))
    return goals


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


def _concurrent(summary: Summary | None) -> list[Goal]:
    goals: list[Goal] = []
    if summary is None:
        return goals
    peer, floor = summary.ratio(summary.best_peer), summary.ratio(FLOOR)
    if peer is not None:
        goals.append(Goal("throughput of 8 clients / best peer", THROUGHPUT_TO_BEST_PEER, peer, at_least=True))
    if floor is not None:
        goals.append(Goal("throughput of 8 clients, floor / service", FLOOR_TO_SERVICE, 1 / floor))
    return goals


def _single(summary: Summary | None, mix: Mapping[str, Sequence[float]]) -> list[Goal]:
    goals: list[Goal] = []
    if summary is None:
        return goals
    ours = summary.latency[SERVICE].median
    peers = [summary.latency[name].median for name in PEERS if name in summary.latency]
    if peers:
        goals.append(Goal("latency of a single 3 s clip / best peer", SINGLE_LATENCY_TO_BEST_PEER, ours / min(peers)))
    if mix.get(SERVICE):
        beside = figure(mix[SERVICE]).median
        goals.append(Goal("latency of a 3 s clip during a long file / alone", MIX_TO_SINGLE_LATENCY, beside / ours))
    return goals
