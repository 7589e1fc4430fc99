"""Messages to Celery workers: each is sent when it is due, and again when it was lost."""

from __future__ import annotations

import pytest

from tests.unit.jobs.store.support import (
    BROKEN,
    LEASE,
    Calls,
    Clock,
    new_job,
)


def unsent(store: Calls, *, idle: bool = False) -> list[str]:
    return [message.id for message in store.unsent(100, idle=idle)]


def test_a_job_is_announced_once_its_length_is_known(store: Calls) -> None:
    store.submit(new_job("a"))
    assert unsent(store) == []
    store.examined("a", 12.5)
    (message,) = store.unsent(100, idle=False)
    assert (message.id, message.attempt, message.seconds, message.waiting) == ("a", 0, 12.5, 0.0)


def test_a_job_of_unknown_length_is_announced_soon(store: Calls, clock: Clock) -> None:
    store.submit(new_job("a"))
    clock.move(2)
    assert unsent(store) == ["a"]


def test_a_message_that_nobody_confirms_is_sent_again(store: Calls, clock: Clock) -> None:
    store.submit(new_job("a"))
    store.examined("a", None)
    assert unsent(store) == ["a"]
    assert unsent(store) == []
    clock.move(10)
    assert unsent(store) == ["a"]


def test_a_message_that_was_sent_counts_as_lost_after_ten_minutes(store: Calls, clock: Clock) -> None:
    store.submit(new_job("a"))
    store.examined("a", None)
    store.sent(store.unsent(100, idle=False))
    clock.move(599)
    assert unsent(store) == []
    clock.move(1)
    assert unsent(store) == ["a"]


def send_for(store: Calls, clock: Clock, seconds: int) -> int:
    """How many messages a dispatcher sends that looks once a minute."""
    sent = 0
    for _ in range(seconds // 60):
        clock.move(60)
        messages = store.unsent(100, idle=False)
        store.sent(messages)
        sent += len(messages)
    return sent


def test_a_job_that_waits_for_a_day_fills_the_broker_with_few_messages(store: Calls, clock: Clock) -> None:
    store.submit(new_job("a"))
    assert send_for(store, clock, 24 * 3600) <= 16


def test_a_job_that_was_begun_and_given_back_is_announced_as_often_as_a_new_one(store: Calls, clock: Clock) -> None:
    store.submit(new_job("a"))
    send_for(store, clock, 24 * 3600)
    store.release(store.claim("me", "a"))
    store.sent(store.unsent(100, idle=False))
    clock.move(600)
    assert unsent(store) == ["a"]


def test_a_message_that_was_sent_is_lost_when_the_broker_has_none(store: Calls, clock: Clock) -> None:
    store.submit(new_job("a"))
    store.examined("a", None)
    store.sent(store.unsent(100, idle=False))
    assert unsent(store, idle=True) == []  # somebody may have it in hand
    clock.move(11)
    assert unsent(store) == []
    assert unsent(store, idle=True) == ["a"]


def test_a_job_that_was_begun_is_announced_when_its_owner_is_gone(store: Calls, clock: Clock) -> None:
    store.submit(new_job("a"))
    store.examined("a", None)
    messages = store.unsent(100, idle=False)
    lease = store.claim("first", "a")
    store.sent(messages)  # late: the job has moved on
    clock.move(LEASE - 1)
    store.renew(lease)
    clock.move(LEASE - 1)
    assert unsent(store) == []
    clock.move(1)
    assert unsent(store) == ["a"]
    assert store.claim("second", "a").attempt == 2


def test_a_postponed_job_is_announced_when_its_pause_is_over(store: Calls, clock: Clock) -> None:
    store.submit(new_job("a"))
    store.postpone(store.claim("me"), 30.0)
    clock.move(29)
    assert unsent(store) == []
    clock.move(1)
    assert unsent(store) == ["a"]


@pytest.mark.parametrize("end", ["cancel", "fail", "release"])
def test_who_waits_for_shared_work_is_announced_when_that_is_free(store: Calls, end: str) -> None:
    store.submit(new_job("a", "work"))
    store.submit(new_job("b", "work"))
    for job_id in "ab":
        store.examined(job_id, None)
    assert unsent(store) == ["a"]
    lease = store.claim("me", "a")
    {
        "cancel": lambda: store.cancel("a"),
        "fail": lambda: store.fail(lease, BROKEN),
        "release": lambda: store.release(lease),
    }[end]()
    assert unsent(store) == ["a" if end == "release" else "b"]


def test_an_ended_job_is_not_announced(store: Calls, clock: Clock) -> None:
    store.submit(new_job("a"))
    store.cancel("a")
    clock.move(1e4)
    assert unsent(store, idle=True) == []


def test_a_clock_set_back_holds_no_message(store: Calls, clock: Clock) -> None:
    store.submit(new_job("a"))
    store.sent(store.unsent(100, idle=False))
    clock.move(-1e6)
    assert unsent(store) == ["a"]
