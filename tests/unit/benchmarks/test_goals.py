"""The benchmark reports for each goal that was measured whether it was met."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from benchmarks.goals import BEAM, CLIENTS, FULL_WINDOWS, LONG, LONGEST, check, goal_table
from benchmarks.plan import BATCHED, FASTER_WHISPER, FASTER_WHISPER_WORKERS, FLOOR, SERVICE, Case
from benchmarks.report import Measurement, Results, summarize

SHORT_CONCURRENT = Case(clip=3.0, clients=CLIENTS, beam=BEAM)
LONE = Case(clip=29.0, clients=1, beam=BEAM)


def took(case: Case, contender: str, seconds: float, cpu: float = 1.0) -> Measurement:
    return Measurement(case, contender, 0, seconds, (seconds,) * case.clients, cpu)


def values(*measurements: Measurement, **others: Any) -> dict[str, tuple[Any, bool]]:
    return {goal.name: (pytest.approx(goal.value), goal.met) for goal in check(results(*measurements, **others))}


def results(
    *measurements: Measurement,
    alone: Mapping[str, Sequence[float]] = {},
    mixed: Mapping[str, Sequence[float]] = {},
    fallback: Mapping[str, Sequence[float]] = {},
    probes: Mapping[str, Sequence[float]] = {},
    scripted: bool = False,
) -> Results:
    return Results(summarize(measurements), alone, mixed, fallback, probes, scripted)


def test_throughput_is_compared_with_faster_whispers_default_and_its_best_layout() -> None:
    goals = values(
        took(SHORT_CONCURRENT, SERVICE, 1),
        took(SHORT_CONCURRENT, FASTER_WHISPER, 9),
        took(SHORT_CONCURRENT, FASTER_WHISPER_WORKERS, 5),
    )
    assert goals == {
        "throughput of 3 s clips, 8 clients / faster-whisper": (9, True),
        "throughput of 3 s clips, 8 clients / faster-whisper in its best layout": (5, False),
    }


def test_the_default_may_be_the_best_layout() -> None:
    goals = values(
        took(FULL_WINDOWS, SERVICE, 1),
        took(FULL_WINDOWS, FASTER_WHISPER, 3),
        took(FULL_WINDOWS, FASTER_WHISPER_WORKERS, 4),
    )
    assert goals["throughput of 29 s clips, 8 clients / faster-whisper in its best layout"] == (3, True)


def test_the_latency_of_a_lone_clip_is_compared_with_the_fastest_peer() -> None:
    goals = values(took(LONE, SERVICE, 2), took(LONE, FASTER_WHISPER, 4), took(LONE, BATCHED, 2.5))
    assert goals == {"latency of a lone 29 s clip / best peer": (0.8, False)}


def test_a_clip_that_needs_fallback_is_compared_with_the_peer_that_has_none() -> None:
    goals = values(fallback={SERVICE: [1, 2.2, 9], FASTER_WHISPER: [8], BATCHED: [2]})
    assert goals == {"latency of a clip that needs fallback / BatchedInferencePipeline": (1.1, True)}


def test_cpu_time_is_compared_on_ten_minutes() -> None:
    goals = values(took(LONG, SERVICE, 30, cpu=45), took(LONG, FASTER_WHISPER, 50, cpu=90))
    assert goals == {"CPU per second of audio, 10 minutes / faster-whisper": (0.5, True)}


def test_a_scripted_checkpoint_is_compared_with_the_floor_only() -> None:
    goals = values(
        took(FULL_WINDOWS, SERVICE, 10),
        took(FULL_WINDOWS, FASTER_WHISPER, 30),
        took(FULL_WINDOWS, FLOOR, 9.5),
        scripted=True,
    )
    assert goals == {"throughput of 29 s clips, 8 clients, floor / service": (10 / 9.5, True)}


def test_a_clip_in_the_mix_is_compared_with_a_lone_one() -> None:
    assert values(alone={SERVICE: [2]}, mixed={SERVICE: [7]}) == {
        "latency of a 3 s clip during a long file / alone": (3.5, False)
    }


def test_a_second_of_an_hour_may_cost_a_tenth_more_than_one_of_ten_minutes() -> None:
    goals = values(took(LONG, SERVICE, 60), took(LONGEST, SERVICE, 378))
    assert goals == {"cost of a second of audio, 60 minutes / 10 minutes": (1.05, True)}


def test_other_routes_are_judged_by_their_99th_percentile() -> None:
    [goal] = check(results(probes={"/health": [0.01] * 97 + [0.2] * 3}))
    assert (goal.value, goal.met) == (0.2, False)
    assert goal_table([goal]).endswith("| p99 of /health under load, s | at most 0.100 | 0.200 | no |")


def test_goals_that_were_not_measured_are_left_out() -> None:
    assert values(took(Case(11.0, 1, 5), SERVICE, 1), took(FULL_WINDOWS, SERVICE, 1)) == {}
