"""Messages to Celery workers: each is sent when it is due, and again when it was lost."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.unit.jobs.store.support import (
    BROKEN,
    LEASE,
    Calls,
    Clock,
    new_job,
)
from transcription.jobs.job import JobStatus


def unsent(store: Calls, *, idle: bool = False) -> list[str]:
    return [message.id for message in store.unsent(100, idle=idle)]


def test_a_message_is_due_once_the_duration_is_known(store: Calls) -> None:
    store.submit(new_job("a"))
    assert unsent(store) == []
    store.examined("a", 12.5)
    (message,) = store.unsent(100, idle=False)
    assert (message.id, message.attempt, message.seconds, message.waiting) == ("a", 0, 12.5, 0.0)


def test_a_message_of_unknown_duration_is_due_after_the_examination(store: Calls, clock: Clock) -> None:
    store.submit(new_job("a"))
    clock.move(2)
    assert unsent(store) == ["a"]


def test_an_unconfirmed_message_is_due_again(store: Calls, clock: Clock) -> None:
    store.submit(new_job("a"))
    store.examined("a", None)
    assert unsent(store) == ["a"]
    assert unsent(store) == []
    clock.move(10)
    assert unsent(store) == ["a"]


def test_a_sent_message_counts_as_lost_after_ten_minutes(store: Calls, clock: Clock) -> None:
    store.submit(new_job("a"))
    store.examined("a", None)
    store.sent(store.unsent(100, idle=False))
    clock.move(599)
    assert unsent(store) == []
    clock.move(1)
    assert unsent(store) == ["a"]


# The job that begins when a message arrives


def send(store: Calls, seconds: dict[str, float | None]) -> None:
    """Submit jobs with recordings of these durations, such as "ada 1": 60.0, and send their messages."""
    for job_id, duration in seconds.items():
        store.submit(new_job(job_id, caller=job_id.split()[0]))
        store.examined(job_id, duration)
    store.sent(store.unsent(100, idle=False))


def received(store: Calls, *job_ids: str) -> list[str]:
    """The jobs that begin when the messages about these jobs are received."""
    return [store.claim_for_message(f"worker of {job_id}", job_id).id for job_id in job_ids]


def test_one_job_does_not_wait_for_the_messages_of_another_caller(store: Calls) -> None:
    jobs = [*(f"ada {number}" for number in range(60)), "bob 0"]
    send(store, dict.fromkeys(jobs, 60.0))
    assert received(store, *jobs)[:3] == ["ada 0", "bob 0", "ada 1"]


def test_as_many_messages_as_jobs_begin_every_job(store: Calls) -> None:
    jobs = ["ada 1", "ada 2", "ada 3", "bob 1"]
    send(store, dict.fromkeys(jobs, 60.0))
    assert sorted(received(store, *jobs)) == jobs
    assert store.claim_for_message("worker", "ada 3") is None


def test_a_short_recording_begins_before_a_long_one_of_another_caller(store: Calls) -> None:
    send(store, {"ada 1": 3000.0, "bob 1": None, "eve 1": 3000.0, "ada 2": 60.0})
    assert received(store, "ada 1", "bob 1") == ["ada 2", "bob 1"]


def test_a_long_recording_that_has_waited_is_served_like_a_short_one(store: Calls, clock: Clock) -> None:
    send(store, {"ada 1": 3000.0})
    clock.move(600)
    send(store, {"bob 1": 60.0, "ada 2": 60.0})
    assert received(store, "bob 1", "ada 2", "ada 1") == ["ada 1", "bob 1", "ada 2"]


def test_an_interrupted_job_begins_before_others(store: Calls) -> None:
    send(store, {"ada 1": 3000.0, "bob 1": 60.0})
    store.release(store.claim("me", "ada 1"))
    assert received(store, "bob 1") == ["ada 1"]


def test_a_retried_job_is_not_served_like_an_interrupted_one(store: Calls) -> None:
    send(store, {"ada 1": 3000.0})
    store.fail(store.claim("me"), BROKEN)
    store.retry("ada 1")
    send(store, {"bob 1": 60.0})
    assert received(store, "bob 1") == ["bob 1"]


def test_a_job_that_began_with_the_message_of_another_one_leaves_that_one_a_message(store: Calls) -> None:
    send(store, {"ada 1": 3000.0})
    store.submit(new_job("bob 1", caller="bob"))
    store.examined("bob 1", 60.0)  # its own message is not sent yet
    assert received(store, "ada 1") == ["bob 1"]
    assert unsent(store) == ["ada 1"]


@pytest.mark.parametrize(("column", "value"), [("work", None), ("request", "[{"), ("recording", None)])
def test_a_job_that_cannot_be_read_fails_when_a_message_arrives(
    store: Calls, poison: Callable[[str, str, object], None], column: str, value: object
) -> None:
    send(store, {"ada 1": 60.0, "bob 1": 60.0})
    poison("ada 1", column, value)
    assert received(store, "ada 1") == ["bob 1"]
    assert store.get("ada 1").failure.code == "unreadable_job"
    assert store.count().by_status == {JobStatus.FAILED: 1, JobStatus.PROCESSING: 1}


def send_for(store: Calls, clock: Clock, seconds: int) -> int:
    """The number of messages that a dispatcher sends if it polls once a minute."""
    sent = 0
    for _ in range(seconds // 60):
        clock.move(60)
        messages = store.unsent(100, idle=False)
        store.sent(messages)
        sent += len(messages)
    return sent


def test_a_job_that_waits_for_a_day_gets_few_messages(store: Calls, clock: Clock) -> None:
    store.submit(new_job("a"))
    assert send_for(store, clock, 24 * 3600) <= 16


def test_the_messages_of_a_released_job_are_as_frequent_as_those_of_a_new_one(store: Calls, clock: Clock) -> None:
    store.submit(new_job("a"))
    send_for(store, clock, 24 * 3600)
    store.release(store.claim("me", "a"))
    store.sent(store.unsent(100, idle=False))
    clock.move(600)
    assert unsent(store) == ["a"]


def test_a_sent_message_is_lost_if_the_broker_is_empty(store: Calls, clock: Clock) -> None:
    store.submit(new_job("a"))
    store.examined("a", None)
    store.sent(store.unsent(100, idle=False))
    assert unsent(store, idle=True) == []  # a worker may have received it
    clock.move(11)
    assert unsent(store) == []
    assert unsent(store, idle=True) == ["a"]


def test_a_message_for_a_further_attempt_is_lost_if_the_broker_is_empty(store: Calls, clock: Clock) -> None:
    store.submit(new_job("a"))
    store.claim("first", "a")
    clock.move(LEASE)
    store.sent(store.unsent(100, idle=False))
    clock.move(11)
    assert unsent(store) == []
    assert unsent(store, idle=True) == ["a"]
    store.claim("second", "a")
    assert unsent(store, idle=True) == []


def test_a_message_is_due_when_the_lease_of_a_job_expires(store: Calls, clock: Clock) -> None:
    store.submit(new_job("a"))
    store.examined("a", None)
    messages = store.unsent(100, idle=False)
    lease = store.claim("first", "a")
    store.sent(messages)  # late: the job has begun
    clock.move(LEASE - 1)
    store.renew(lease)
    clock.move(LEASE - 1)
    assert unsent(store) == []
    clock.move(1)
    assert unsent(store) == ["a"]
    assert store.claim("second", "a").attempt == 2


def test_a_message_is_due_when_a_postponement_ends(store: Calls, clock: Clock) -> None:
    store.submit(new_job("a"))
    store.postpone(store.claim("me"), 30.0)
    clock.move(29)
    assert unsent(store) == []
    clock.move(1)
    assert unsent(store) == ["a"]


@pytest.mark.parametrize("end", ["cancel", "fail", "release"])
def test_a_message_is_due_when_shared_work_is_released(store: Calls, end: str) -> None:
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


def test_no_message_is_due_for_a_finished_job(store: Calls, clock: Clock) -> None:
    store.submit(new_job("a"))
    store.cancel("a")
    clock.move(1e4)
    assert unsent(store, idle=True) == []


def test_a_clock_set_back_does_not_delay_a_message(store: Calls, clock: Clock) -> None:
    store.submit(new_job("a"))
    store.sent(store.unsent(100, idle=False))
    clock.move(-1e6)
    assert unsent(store) == ["a"]
