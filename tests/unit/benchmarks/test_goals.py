"""The benchmark reports for each goal that was measured whether it was met."""

from __future__ import annotations

from typing import Any

import pytest

from benchmarks.goals import CONCURRENT, LONG, LONGEST, SINGLE, check, goal_table
from benchmarks.plan import BATCHED, FASTER_WHISPER, FLOOR, SERVICE, Case
from benchmarks.report import Measurement, summarize


def took(case: Case, contender: str, seconds: float) -> Measurement:
    return Measurement(case, contender, 0, seconds, (seconds,) * case.clients)


def values(*measurements: Measurement, mix: float | None = None) -> dict[str, tuple[Any, bool]]:
    goals = check(summarize(measurements), {} if mix is None else {SERVICE: [mix]}, {})
    return {goal.name: (pytest.approx(goal.value), goal.met) for goal in goals}


def test_throughput_is_compared_with_the_best_peer_and_the_floor() -> None:
    goals = values(
        took(CONCURRENT, SERVICE, 10),
        took(CONCURRENT, FASTER_WHISPER, 30),
        took(CONCURRENT, BATCHED, 19),
        took(CONCURRENT, FLOOR, 9.5),
    )
    assert goals["throughput of 8 clients / best peer"] == (1.9, False)
    assert goals["throughput of 8 clients, floor / service"] == (10 / 9.5, True)


def test_the_latency_of_a_single_clip_is_compared_with_the_fastest_peer() -> None:
    goals = values(took(SINGLE, SERVICE, 2), took(SINGLE, FASTER_WHISPER, 4), took(SINGLE, BATCHED, 2.5))
    assert goals == {"latency of a single 3 s clip / best peer": (0.8, True)}


def test_a_clip_in_the_mix_is_compared_with_a_single_one() -> None:
    assert values(took(SINGLE, SERVICE, 2), mix=7.0) == {
        "latency of a 3 s clip during a long file / alone": (3.5, False)
    }


def test_a_second_of_an_hour_may_cost_a_tenth_more_than_one_of_ten_minutes() -> None:
    goals = values(took(LONG, SERVICE, 60), took(LONGEST, SERVICE, 378))
    assert goals == {"cost of a second of audio, 60 minutes / 10 minutes": (1.05, True)}


def test_other_routes_are_judged_by_their_99th_percentile() -> None:
    [goal] = check([], {}, {"/health": [0.01] * 97 + [0.2] * 3})
    assert (goal.value, goal.met) == (0.2, False)
    assert goal_table([goal]).endswith("| p99 of /health under load, s | at most 0.100 | 0.200 | no |")


def test_goals_that_were_not_measured_are_left_out() -> None:
    assert values(took(Case(11.0, 1, 5), SERVICE, 1)) == {}
