"""Callers take turns on the device."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runners.batching.scheduler import FIRST_ESTIMATE
from tests.support.scheduling import BACKGROUND, INTERACTIVE, a_scheduler, an_item, drain, ids, start, submit
from transcription.core.errors import ServiceUnavailable


def test_callers_take_turns_however_many_requests_one_of_them_has() -> None:
    scheduler = a_scheduler()
    submit(scheduler, *(an_item(number, f"clip {number}", caller="ada") for number in range(4)))
    submit(scheduler, *(an_item(number, "file", caller="bob") for number in range(10, 14)))
    assert drain(scheduler) == [0, 10, 1, 11, 2, 12, 3, 13]


def test_a_caller_that_comes_back_has_no_turn_before_those_that_waited() -> None:
    scheduler = a_scheduler()
    submit(scheduler, *(an_item(number, "file", caller="bob") for number in range(10, 13)))
    order = []
    for number in range(3):  # each clip comes when the one before is done
        submit(scheduler, an_item(number, f"clip {number}", caller="ada"))
        for _ in range(2):
            batch = start(scheduler)
            order += ids(batch)
            scheduler.finished(batch, 0.0)
    assert order == [10, 0, 11, 1, 12, 2]


def test_a_callers_background_windows_do_not_take_the_turn_of_anothers_interactive_ones() -> None:
    scheduler = a_scheduler()
    submit(scheduler, an_item(0, "job", BACKGROUND, caller="bob"))
    submit(scheduler, *(an_item(number, "file", caller="ada") for number in (1, 2, 3)))
    assert drain(scheduler) == [1, 2, 3, 0]


def test_a_caller_is_not_refused_for_the_windows_of_another_that_come_after_its_own() -> None:
    scheduler = a_scheduler(max_queue_seconds=3 * FIRST_ESTIMATE)
    for number in range(4):
        scheduler.submit(an_item(number, f"{number}", caller="ada"), 0.0)
    with pytest.raises(ServiceUnavailable):
        scheduler.submit(an_item(4, "4", caller="ada"), 0.0)
    # Each waits for bob's own, and for as many of ada's and one more.
    for number, windows in ((10, 1), (11, 3)):
        assert scheduler.backlog(INTERACTIVE, "bob") == pytest.approx(windows * FIRST_ESTIMATE)
        scheduler.submit(an_item(number, f"{number}", caller="bob"), 0.0)
    assert scheduler.backlog(INTERACTIVE, "bob") == pytest.approx(5 * FIRST_ESTIMATE)
    with pytest.raises(ServiceUnavailable):
        scheduler.submit(an_item(12, "12", caller="bob"), 0.0)


def test_a_background_request_waits_for_all_interactive_windows_of_other_callers() -> None:
    scheduler = a_scheduler()
    submit(scheduler, *(an_item(number, "file", caller="ada") for number in range(4)))
    submit(scheduler, *(an_item(number, "job", BACKGROUND, caller="ada") for number in range(10, 14)))
    assert scheduler.backlog(BACKGROUND, "bob") == pytest.approx((4 + 1) * FIRST_ESTIMATE)


@settings(deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["ada", "bob"]), st.integers(0, 5)), max_size=40))
def test_of_two_callers_neither_is_ever_more_than_one_window_ahead(windows: list[tuple[str, int]]) -> None:
    scheduler = a_scheduler()
    for number, (caller, request) in enumerate(windows):
        submit(scheduler, an_item(number, f"{caller}-{request}", caller=caller))
    served = [windows[number][0] for number in drain(scheduler)]
    both = 2 * min(served.count("ada"), served.count("bob"))
    assert all(abs(served[:end].count("ada") - served[:end].count("bob")) <= 1 for end in range(both + 1))
