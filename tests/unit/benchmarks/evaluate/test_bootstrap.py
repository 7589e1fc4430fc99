"""Confidence intervals of ratios and other figures."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.evaluate.bootstrap import Estimate, ratio, statistic

COUNTS = st.lists(st.tuples(st.integers(0, 20), st.integers(1, 50)), min_size=2, max_size=30)


def median(files: Sequence[Sequence[float]]) -> float | None:
    values = [value for file in files for value in file]
    return statistics.median(values) if values else None


@given(COUNTS)
def test_a_ratio_is_of_the_sums_and_lies_within_the_ratios_of_the_files(counts: list[tuple[int, int]]) -> None:
    errors, words = zip(*counts, strict=True)
    found = ratio(errors, words)
    assert found and found.low is not None and found.high is not None
    assert found.value == pytest.approx(sum(errors) / sum(words))
    single = [one / other for one, other in counts]
    assert min(single) - 1e-9 <= found.low <= found.high <= max(single) + 1e-9


@given(COUNTS)
def test_the_same_files_give_the_same_interval(counts: list[tuple[int, int]]) -> None:
    errors, words = zip(*counts, strict=True)
    assert ratio(errors, words) == ratio(errors, words)


def test_files_that_are_alike_leave_no_uncertainty() -> None:
    assert ratio([1] * 5, [10] * 5) == Estimate(0.1, 0.1, 0.1)


def test_the_interval_of_a_share_is_about_that_of_the_normal_distribution() -> None:
    found = ratio([1] * 50 + [0] * 50, [1] * 100)
    assert found and found.low == pytest.approx(0.5 - 0.098, abs=0.02) and found.high == pytest.approx(0.598, abs=0.02)


def test_one_file_has_no_interval() -> None:
    assert ratio([1], [10]) == Estimate(0.1)
    assert statistic([[1.0, 3.0]], median) == Estimate(2.0)


def test_nothing_divided_by_nothing_is_no_figure() -> None:
    assert ratio([], []) is None
    assert ratio([1, 2], [0, 0]) is None
    assert statistic([[], []], median) is None


def test_draws_without_a_unit_are_left_out() -> None:
    found = ratio([1, 1], [0, 10])
    assert found and found.high == pytest.approx(0.2)


def test_a_median_is_of_all_files_together() -> None:
    found = statistic([[1.0], [2.0, 2.0], []], median)
    assert found == Estimate(2.0, 1.0, 2.0)
