"""The benchmark says of each goal whether it was reached, and nothing of goals that were not measured."""

from __future__ import annotations

from typing import Any

import pytest

from benchmarks.goals import CROWD, LONE, LONG, LONGEST, check, goal_table
from benchmarks.plan import BATCHED, FASTER_WHISPER, FLOOR, SERVICE, Case
from benchmarks.report import Measurement, summarize


def took(case: Case, contender: str, seconds: float) -> Measurement:
    return Measurement(case, contender, 0, seconds, (seconds,) * case.clients)


def values(*measurements: Measurement, mix: float | None = None) -> dict[str, tuple[Any, bool]]:
    goals = check(summarize(measurements), {} if mix is None else {SERVICE: [mix]}, {})
    return {goal.name: (pytest.approx(goal.value), goal.met) for goal in goals}


def test_throughput_is_held_against_the_best_peer_and_the_floor() -> None:
    goals = values(
        took(CROWD, SERVICE, 10), took(CROWD, FASTER_WHISPER, 30), took(CROWD, BATCHED, 19), took(CROWD, FLOOR, 9.5)
    )
    assert goals["throughput of 8 clients / best peer"] == (1.9, False)
    assert goals["throughput of 8 clients, floor / service"] == (10 / 9.5, True)


def test_a_lone_clip_is_held_against_the_quickest_peer() -> None:
    goals = values(took(LONE, SERVICE, 2), took(LONE, FASTER_WHISPER, 4), took(LONE, BATCHED, 2.5))
    assert goals == {"latency of a lone 3 s clip / best peer": (0.8, True)}


def test_a_clip_in_the_mix_is_held_against_a_lone_one() -> None:
    assert values(took(LONE, SERVICE, 2), mix=7.0) == {"latency of a 3 s clip beside a long file / alone": (3.5, False)}


def test_an_hour_may_cost_a_tenth_more_a_second_than_ten_minutes() -> None:
    goals = values(took(LONG, SERVICE, 60), took(LONGEST, SERVICE, 378))
    assert goals == {"cost of an audio second, 60 minutes / 10 minutes": (1.05, True)}


def test_cheap_routes_are_judged_by_their_slowest_hundredth() -> None:
    [goal] = check([], {}, {"/health": [0.01] * 97 + [0.2] * 3})
    assert (goal.value, goal.met) == (0.2, False)
    assert goal_table([goal]).endswith("| p99 of /health under load, s | at most 0.100 | 0.200 | no |")


def test_goals_that_were_not_measured_are_left_out() -> None:
    assert values(took(Case(11.0, 1, 5), SERVICE, 1)) == {}
