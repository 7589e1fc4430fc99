"""Delays between attempts of jobs and webhooks, and limits that depend on each other."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transcription.jobs.policy import (
    DELIVERY_JITTER,
    FIRST_DELIVERY_DELAY,
    FIRST_RETRY_DELAY,
    HEARTBEAT_SECONDS,
    LEASE_SECONDS,
    MAX_DELIVERY_ATTEMPTS,
    MAX_DELIVERY_DELAY,
    MAX_DELIVERY_WAIT,
    MAX_POSTPONEMENT,
    MAX_RETRY_DELAY,
    delivery_delay,
    retry_delay,
)


@given(st.integers(0, 50) | st.integers(0, 10**9), st.floats(0, 10_000))
def test_retry_delays_grow_up_to_a_limit_and_are_never_shorter_than_requested(failures: int, requested: float) -> None:
    delay = retry_delay(failures, requested)
    assert FIRST_RETRY_DELAY <= delay <= MAX_RETRY_DELAY
    assert delay >= min(requested, MAX_RETRY_DELAY)
    assert delay <= retry_delay(failures + 1, requested)
    assert failures < 9 or delay == MAX_RETRY_DELAY


def test_ten_deliveries_take_about_three_and_a_half_hours() -> None:
    delays = [delivery_delay(attempt, 0, 0.5) for attempt in range(1, MAX_DELIVERY_ATTEMPTS)]
    assert delays[:6] == [5, 15, 45, 135, 405, 1215]
    assert sum(delays) == pytest.approx(3.5 * 3600, rel=0.01)


@given(st.integers(1, MAX_DELIVERY_ATTEMPTS), st.floats(0, 1e9), st.floats(0, 1))
def test_delivery_delays_stay_within_their_limits(attempt: int, retry_after: float, chance: float) -> None:
    delay = delivery_delay(attempt, retry_after, chance)
    assert FIRST_DELIVERY_DELAY * (1 - DELIVERY_JITTER) <= delay <= (1 + DELIVERY_JITTER) * MAX_DELIVERY_DELAY
    assert delay >= min(retry_after, MAX_DELIVERY_DELAY)


def test_stores_allow_the_longest_delays_and_a_lease_survives_missed_heartbeats() -> None:
    assert MAX_RETRY_DELAY <= MAX_POSTPONEMENT
    assert (1 + DELIVERY_JITTER) * MAX_DELIVERY_DELAY <= MAX_DELIVERY_WAIT
    assert HEARTBEAT_SECONDS <= LEASE_SECONDS / 3
