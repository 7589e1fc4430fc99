"""Live sessions in the queue of the runner: before everything else, and never at its expense for long."""

from dataclasses import replace

import pytest

from runners.batching.queue import OTHERS_SECONDS, Item, batch_key
from runners.batching.scheduler import LIVE_SECONDS
from tests.support.scheduling import BACKGROUND, BASE, INTERACTIVE, a_scheduler, an_item, drain, ids, start, submit
from transcription.core.options import Priority, Ticket

LIVE = Priority.LIVE


def tick(number, session="session"):
    """A window of a live session that a newer one may replace."""
    return Item(number, Ticket(session, LIVE, replaceable=True), batch_key(BASE))


def last(number, session="session"):
    """The last window of an utterance."""
    return Item(number, Ticket(session, LIVE), batch_key(BASE))


def test_a_live_session_is_served_before_requests_that_came_earlier():
    scheduler = a_scheduler()
    submit(scheduler, an_item(1, "job", BACKGROUND), an_item(2, "upload", INTERACTIVE), tick(3))
    assert drain(scheduler) == [3, 2, 1]


def test_sessions_are_served_in_turn():
    scheduler = a_scheduler()
    submit(scheduler, tick(1, "one"), tick(2, "two"), tick(3, "three"))
    assert drain(scheduler) == [1, 2, 3]


def test_a_newer_tick_takes_the_place_of_one_that_waits():
    scheduler = a_scheduler()
    submit(scheduler, tick(1, "one"), tick(2, "two"))
    assert scheduler.submit(tick(3, "one"), 0.0) == tick(1, "one")
    assert drain(scheduler) == [3, 2]


def test_the_last_window_of_an_utterance_replaces_a_tick_and_is_not_replaced():
    scheduler = a_scheduler()
    submit(scheduler, tick(1))
    assert scheduler.submit(last(2), 0.0) == tick(1)
    assert scheduler.submit(tick(3), 0.0) is None
    assert drain(scheduler) == [2, 3]


def test_a_tick_that_runs_is_not_replaced():
    scheduler = a_scheduler()
    submit(scheduler, tick(1))
    running = start(scheduler)
    assert scheduler.submit(tick(2), 0.0) is None
    scheduler.finished(running, 1.0)
    assert drain(scheduler) == [2]


def test_ticks_of_several_sessions_share_a_batch():
    scheduler = a_scheduler(max_batch=4)
    submit(scheduler, tick(1, "one"), tick(2, "two"))
    assert ids(start(scheduler)) == [1, 2]


def test_a_live_batch_takes_no_window_of_a_file():
    scheduler = a_scheduler(max_batch=4)
    submit(scheduler, last(1), an_item(2, "upload"))
    assert ids(start(scheduler)) == [1]


@pytest.mark.parametrize("priority", [INTERACTIVE, BACKGROUND])
def test_others_are_served_now_and_then_however_many_sessions_there_are(priority):
    scheduler = a_scheduler()
    submit(scheduler, an_item(1, "upload", priority))
    order, now = [], 0.0
    for number in range(2, 12):
        submit(scheduler, tick(number, f"session {number}"), tick(100 + number, f"another {number}"), now=now)
        batch = start(scheduler, now)
        order += ids(batch)
        now += 0.5
        scheduler.finished(batch, now)
    assert order.index(1) == OTHERS_SECONDS / 0.5


def test_beside_live_sessions_others_leave_a_slot_free():
    scheduler = a_scheduler(slots=2)
    submit(scheduler, tick(1), an_item(2, "a"), an_item(3, "b"))
    assert ids(start(scheduler)) == [1]
    assert ids(start(scheduler)) == [2]
    scheduler.finished(next(iter(scheduler._running.values())), 0.1)
    assert scheduler.next_batch(0.1) is None
    submit(scheduler, tick(4), now=0.2)
    assert ids(scheduler.next_batch(0.2)) == [4]


def test_once_nobody_speaks_others_have_every_slot():
    scheduler = a_scheduler(slots=2)
    submit(scheduler, tick(1))
    scheduler.finished(start(scheduler), 0.1)
    later = LIVE_SECONDS + 0.1
    submit(scheduler, an_item(2, "a"), an_item(3, "b"), now=later)
    assert ids(start(scheduler, later)) == [2]
    assert ids(start(scheduler, later)) == [3]


def test_beside_live_sessions_a_file_has_batches_of_one_window_where_batching_costs_time():
    for cheap, expected in ((False, [2]), (True, [2, 3])):
        scheduler = a_scheduler(max_batch=4, cheap_batching=cheap)
        submit(scheduler, tick(1))
        scheduler.finished(start(scheduler), 0.1)
        submit(scheduler, an_item(2, "a"), an_item(3, "b"), now=0.2)
        assert ids(start(scheduler, 0.2)) == expected


def test_a_session_waits_for_live_windows_alone():
    scheduler = a_scheduler()
    submit(scheduler, an_item(1, "job", BACKGROUND), an_item(2, "upload"), tick(3))
    assert scheduler.backlog(LIVE) < scheduler.backlog(INTERACTIVE) < scheduler.backlog(BACKGROUND)


def test_drafts_and_last_decodes_do_not_share_a_batch():
    draft = batch_key(replace(BASE, beam_size=1, temperatures=(0.0,), draft=True))
    assert draft != batch_key(BASE)
