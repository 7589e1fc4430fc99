"""The order of measurements, and the figures that are computed from repetitions."""

from __future__ import annotations

import csv
from collections import Counter
from operator import attrgetter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.plan import BATCHED, CONTENDERS, FASTER_WHISPER, FLOOR, SERVICE, WEBSERVICE, Case, cases, interleave
from benchmarks.report import (
    Measurement,
    fallback_table,
    figure,
    figure_table,
    mix_table,
    percentile,
    ratio_table,
    short,
    summarize,
    table,
    write_csv,
)

CASE = Case(clip=29.0, clients=8, beam=5)


def measured(contender: str, seconds: float, *latencies: float, repetition: int = 0, cpu: float = 1.0) -> Measurement:
    return Measurement(CASE, contender, repetition, seconds, latencies or (seconds,), cpu)


@given(st.integers(1, 6), st.lists(st.sampled_from(CONTENDERS), min_size=1, unique=True))
def test_every_contender_runs_every_case_in_each_repetition(repetitions: int, contenders: list[str]) -> None:
    runs = list(interleave([CASE], contenders, repetitions))
    assert Counter(run.contender for run in runs) == dict.fromkeys(contenders, repetitions)


@given(st.integers(1, 6), st.lists(st.sampled_from(CONTENDERS), min_size=1, unique=True))
def test_no_contender_runs_again_before_all_have_run(repetitions: int, contenders: list[str]) -> None:
    runs = list(interleave([CASE], contenders, repetitions))
    for start in range(0, len(runs), len(contenders)):
        turn = runs[start : start + len(contenders)]
        assert {run.contender for run in turn} == set(contenders)
        assert len({run.repetition for run in turn}) == 1


def test_each_repetition_starts_with_a_different_contender() -> None:
    runs = list(interleave([CASE], ["a", "b", "c"], 3))
    assert [run.contender for run in runs[::3]] == ["a", "b", "c"]


def test_the_webservice_is_measured_only_with_its_own_beam_size() -> None:
    runs = interleave([Case(3.0, 1, 1), Case(3.0, 1, 5)], CONTENDERS, 1)
    assert [run.case.beam for run in runs if run.contender == WEBSERVICE] == [5]


def test_long_clips_are_sent_by_one_client_only() -> None:
    assert cases([29.0, 600.0], [1, 8], [5]) == [Case(29.0, 1, 5), Case(29.0, 8, 5), Case(600.0, 1, 5)]


def test_throughput_is_seconds_of_audio_per_second() -> None:
    assert measured(SERVICE, 10.0, 4.0, 10.0).throughput == pytest.approx(2 * 29.0 / 10)


@given(st.lists(st.floats(0.001, 1000), min_size=1))
def test_a_median_is_between_its_quartiles(values: list[float]) -> None:
    result = figure(values)
    assert min(values) <= result.low <= result.median <= result.high <= max(values)


@given(st.lists(st.floats(0.001, 1000), min_size=1), st.floats(0.01, 1))
def test_at_least_the_share_is_at_or_below_a_percentile(values: list[float], share: float) -> None:
    limit = percentile(values, share)
    assert limit in values
    assert sum(value <= limit for value in values) >= share * len(values) - 1e-6


@pytest.mark.parametrize(
    ("value", "text"), [(0, "0.00"), (0.01234, "0.0123"), (1.234, "1.23"), (12.34, "12.3"), (1234.5, "1234")]
)
def test_figures_have_three_significant_digits(value: float, text: str) -> None:
    assert short(value) == text


def test_the_service_is_compared_with_the_fastest_peer_and_the_floor() -> None:
    [summary] = summarize(
        [measured(SERVICE, 2.0), measured(FASTER_WHISPER, 5.0), measured(BATCHED, 4.0), measured(FLOOR, 1.8)]
    )
    assert summary.best_peer == BATCHED
    assert summary.ratio(BATCHED) == pytest.approx(2.0)
    assert "| 29 s, beam 5, 8 clients | 2.00 × BatchedInferencePipeline | 1.11 |" in ratio_table([summary])


def test_a_ratio_without_a_peer_is_left_out() -> None:
    [summary] = summarize([measured(SERVICE, 2.0)])
    assert ratio_table([summary]).endswith("| 29 s, beam 5, 8 clients | - | - |")


def test_repetitions_are_combined_to_a_median_with_quartiles() -> None:
    runs = [measured(SERVICE, seconds, repetition=number) for number, seconds in enumerate((1.0, 2.0, 3.0))]
    [summary] = summarize(runs)
    assert (summary.latency[SERVICE].low, summary.latency[SERVICE].median) == (1.5, 2.0)
    assert "2.00 (1.50–2.50)" in figure_table([summary], attrgetter("latency"))


def test_cpu_time_is_shown_for_a_second_of_audio() -> None:
    [summary] = summarize([measured(SERVICE, 2.0, 2.0, 2.0, cpu=5.8)])
    table_of_costs = figure_table([summary], attrgetter("cpu_cost"))
    assert table_of_costs.endswith("| 29 s, beam 5, 8 clients | 0.100 (0.100–0.100) |")


def test_the_mix_table_shows_the_ratio_of_latencies() -> None:
    assert "| service | 3.00 | 1.00 (1.00–1.00) | 3.00 (3.00–3.00) | 1 |" in mix_table(
        {SERVICE: [1.0]}, {SERVICE: [3.0]}
    )


def test_the_fallback_table_shows_latencies_by_contender() -> None:
    assert fallback_table({SERVICE: [1.0, 2.0, 3.0]}).endswith("| service | 2.00 (1.50–2.50) | 3 |")


def test_a_table_has_a_delimiter_row_below_its_header() -> None:
    assert table(("a", "b"), [("1", "2")]) == "| a | b |\n| --- | ---: |\n| 1 | 2 |"


def test_the_csv_has_a_row_for_every_request(tmp_path: Path) -> None:
    write_csv([measured(SERVICE, 2.0, 1.0, 2.0)], tmp_path / "requests.csv")
    with (tmp_path / "requests.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["latency_s"] for row in rows] == ["1.0000", "2.0000"]
    assert (rows[0]["contender"], rows[0]["load_cpu_s"]) == (SERVICE, "1.0000")
