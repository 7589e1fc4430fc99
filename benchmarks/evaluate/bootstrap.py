"""Confidence intervals: the files are drawn again and again, with a fixed seed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

DRAWS = 1000
SEED = 16
CONFIDENCE = 0.95
MIN_FILES = 2  # one file says nothing about others

File = TypeVar("File")


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure and its confidence interval; low and high are None if there are too few files."""

    value: float
    low: float | None = None
    high: float | None = None


def ratio(numerators: Sequence[float], denominators: Sequence[float]) -> Estimate | None:
    """The sum of one divided by the sum of the other, with a value of each per file. None if nothing is divided by."""
    above, below = np.asarray(numerators, float), np.asarray(denominators, float)
    if not below.sum():
        return None
    drawn_above, drawn_below = above[_draws(len(above))].sum(axis=1), below[_draws(len(below))].sum(axis=1)
    usable = drawn_below > 0
    return _estimate(above.sum() / below.sum(), drawn_above[usable] / drawn_below[usable], len(above))


def statistic(files: Sequence[File], compute: Callable[[Sequence[File]], float | None]) -> Estimate | None:
    """Any figure of a set of files. None if `compute` returns None for all of them together."""
    value = compute(files)
    if value is None:
        return None
    if len(files) < MIN_FILES:
        return Estimate(value)
    drawn = [compute([files[index] for index in draw]) for draw in _draws(len(files))]
    return _estimate(value, np.asarray([each for each in drawn if each is not None]), len(files))


def _draws(count: int) -> NDArray[np.intp]:
    """Indices of files, shape (DRAWS, count); the same for every figure, so that differences are paired."""
    return np.random.default_rng(SEED).integers(0, count, (DRAWS, count))


def _estimate(value: float, drawn: NDArray[np.float64], count: int) -> Estimate:
    if count < MIN_FILES:
        return Estimate(float(value))
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(drawn, (tail, 1 - tail))
    return Estimate(float(value), float(low), float(high))
