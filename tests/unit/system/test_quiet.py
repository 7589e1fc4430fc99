"""Memory is given back after a busy time, and not during one."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import accumulate

from hypothesis import given
from hypothesis import strategies as st

from transcription.system.quiet import INTERVAL_SECONDS, QUIET_SHARE, WORTHWHILE_SECONDS, QuietTimes

BUSY = INTERVAL_SECONDS  # CPU seconds of an interval
QUIET = 0.5 * QUIET_SHARE * INTERVAL_SECONDS
loads = st.lists(st.floats(0, BUSY), max_size=50)


def answers(used: Iterable[float]) -> list[bool]:
    """Of QuietTimes, when the intervals have used so many CPU seconds."""
    times = QuietTimes(0.0)
    return [times.has_come(cpu) for cpu in accumulate(used)]


def test_a_quiet_time_comes_once_after_a_busy_one() -> None:
    assert answers([BUSY, BUSY, QUIET, QUIET, QUIET]) == [False, False, True, False, False]


def test_a_little_work_is_not_worth_it() -> None:
    assert not any(answers([WORTHWHILE_SECONDS / 3, QUIET, QUIET]))


def test_much_work_in_small_parts_is() -> None:
    assert any(answers([QUIET] * 100))


@given(loads)
def test_a_busy_interval_is_never_a_quiet_time(used: list[float]) -> None:
    for load, answer in zip(used, answers(used), strict=True):
        assert not (answer and load >= QUIET_SHARE * INTERVAL_SECONDS + 1e-9)


@given(loads)
def test_quiet_times_take_a_bounded_share(used: list[float]) -> None:
    assert sum(answers(used)) <= sum(used) / WORTHWHILE_SECONDS + 1e-9
