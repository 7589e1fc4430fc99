"""The queue in front of the device: pure choices, given a clock."""

from __future__ import annotations

from collections import defaultdict

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from runners.batching.queue import AGEING_SECONDS, Item, batch_key
from runners.batching.scheduler import FIRST_ESTIMATE, HALVED_SECONDS, MAX_PER_REQUEST, PATIENCE, Batch, Scheduler
from transcription.core.errors import ServiceUnavailable
from transcription.core.options import DecodeOptions, Priority, Task, Ticket

INTERACTIVE, BACKGROUND = Priority.INTERACTIVE, Priority.BACKGROUND
BASE = DecodeOptions(model="base")
TINY = DecodeOptions(model="tiny")


def a_scheduler(
    slots: int = 1, max_batch: int = 1, max_queue_seconds: float = 300.0, *, cheap_batching: bool = True
) -> Scheduler:
    return Scheduler(
        slots=slots, max_batch=max_batch, max_queue_seconds=max_queue_seconds, cheap_batching=cheap_batching
    )


def an_item(
    number: int,
    request: str = "one",
    priority: Priority = INTERACTIVE,
    options: DecodeOptions = BASE,
    *,
    alone: bool = False,
) -> Item:
    return Item(number, Ticket(request, priority), batch_key(options), alone)


def start(scheduler: Scheduler, now: float = 0.0) -> Batch:
    batch = scheduler.next_batch(now)
    assert batch is not None
    return batch


def submit(scheduler: Scheduler, *items: Item, now: float = 0.0) -> None:
    for item in items:
        scheduler.submit(item, now)


def ids(batch: Batch | None) -> list[int]:
    return [] if batch is None else [item.id for item in batch.items]


def drain(scheduler: Scheduler, now: float = 0.0) -> list[int]:
    """Serve everything that waits, one batch after the other."""
    order: list[int] = []
    while batch := scheduler.next_batch(now):
        order.extend(ids(batch))
        scheduler.finished(batch, now)
    return order


def test_an_empty_queue_gives_no_batch() -> None:
    assert a_scheduler().next_batch(0.0) is None


def test_a_lone_window_goes_at_once() -> None:
    scheduler = a_scheduler(max_batch=16)
    submit(scheduler, an_item(1))

    assert ids(scheduler.next_batch(0.0)) == [1]


def test_what_waits_together_goes_together_up_to_the_limit() -> None:
    scheduler = a_scheduler(slots=2, max_batch=2)
    submit(scheduler, an_item(1), an_item(2), an_item(3))

    assert ids(scheduler.next_batch(0.0)) == [1, 2]
    assert ids(scheduler.next_batch(0.0)) == [3]


def test_no_batch_is_formed_while_every_slot_is_taken() -> None:
    scheduler = a_scheduler()
    submit(scheduler, an_item(1), an_item(2))
    first = scheduler.next_batch(0.0)
    assert first is not None

    assert scheduler.next_batch(0.0) is None
    scheduler.finished(first, 1.0)
    assert ids(scheduler.next_batch(1.0)) == [2]


def test_languages_and_tasks_share_a_batch() -> None:
    scheduler = a_scheduler(max_batch=2)
    german = DecodeOptions(model="base", language="de", task=Task.TRANSLATE)
    submit(scheduler, an_item(1), an_item(2, "two", options=german))

    assert ids(scheduler.next_batch(0.0)) == [1, 2]


@pytest.mark.parametrize(
    "other",
    [
        DecodeOptions(model="tiny"),
        DecodeOptions(model="base", beam_size=1),
        DecodeOptions(model="base", temperatures=(0.0,)),
        DecodeOptions(model="base", initial_prompt="Names: Anna, Peter."),
        DecodeOptions(model="base", hotwords="invoice"),
    ],
)
def test_windows_decoded_differently_never_share_a_batch(other: DecodeOptions) -> None:
    scheduler = a_scheduler(max_batch=2)
    submit(scheduler, an_item(1), an_item(2, "two", options=other))

    assert ids(scheduler.next_batch(0.0)) == [1]


def test_one_long_file_does_not_hold_up_a_short_one() -> None:
    scheduler = a_scheduler()
    submit(scheduler, *(an_item(number, "long") for number in range(10)), an_item(99, "short"))

    assert drain(scheduler)[:2] == [0, 99]


def test_a_newcomer_goes_before_a_long_file_that_was_served_already() -> None:
    scheduler = a_scheduler()
    submit(scheduler, *(an_item(number, "long") for number in range(10)))
    first = start(scheduler)
    submit(scheduler, an_item(99, "short"))
    scheduler.finished(first, 1.0)

    assert ids(scheduler.next_batch(1.0)) == [99]


def test_a_long_file_advances_under_a_flood_of_newcomers() -> None:
    scheduler = a_scheduler()
    submit(scheduler, an_item(0, "long"), an_item(1, "long"))
    scheduler.finished(start(scheduler), 0.0)
    served: list[int] = []
    now = 0.0
    while 1 not in served and now < 10 * AGEING_SECONDS:
        submit(scheduler, an_item(len(served) + 2, f"newcomer {now}"), now=now)
        batch = start(scheduler, now)
        served += ids(batch)
        now += 1.0
        scheduler.finished(batch, now)

    assert now == pytest.approx(AGEING_SECONDS + 1.0)


def test_interactive_windows_go_before_background_ones() -> None:
    scheduler = a_scheduler()
    submit(scheduler, an_item(1, "job", BACKGROUND), an_item(2, "job", BACKGROUND), an_item(3, "person"))

    assert drain(scheduler) == [3, 1, 2]


def test_room_left_by_interactive_windows_is_given_to_background_ones() -> None:
    scheduler = a_scheduler(max_batch=3)
    submit(scheduler, an_item(1, "job", BACKGROUND), an_item(2, "person"))

    assert ids(scheduler.next_batch(0.0)) == [2, 1]


def test_a_background_request_advances_under_a_flood_of_interactive_ones() -> None:
    scheduler = a_scheduler()
    submit(scheduler, an_item(0, "job", BACKGROUND))
    served: list[int] = []
    now = 0.0
    for number in range(1, 30):
        submit(scheduler, an_item(number, f"person {number}"), now=now)
        batch = scheduler.next_batch(now)
        assert batch is not None
        served += ids(batch)
        now += 1.0
        scheduler.finished(batch, now)
        if 0 in served:
            break

    assert now == pytest.approx(AGEING_SECONDS + 1.0)


def test_a_cancelled_window_leaves_the_queue() -> None:
    scheduler = a_scheduler()
    submit(scheduler, an_item(1), an_item(2), an_item(3))

    assert scheduler.cancel(2)
    assert drain(scheduler) == [1, 3]


def test_cancelling_a_running_or_unknown_window_changes_nothing() -> None:
    scheduler = a_scheduler()
    submit(scheduler, an_item(1))
    scheduler.next_batch(0.0)

    assert not scheduler.cancel(1)
    assert not scheduler.cancel(77)
    assert scheduler.running == 1


def test_a_new_request_is_refused_when_it_would_wait_too_long() -> None:
    scheduler = a_scheduler(max_queue_seconds=2 * FIRST_ESTIMATE)
    submit(scheduler, *(an_item(number) for number in range(5)))

    with pytest.raises(ServiceUnavailable) as refusal:
        submit(scheduler, an_item(9, "late"))

    assert refusal.value.retry_after == pytest.approx(3 * FIRST_ESTIMATE)
    assert "MAX_QUEUE_SECONDS" in refusal.value.message


def test_a_request_that_was_let_in_is_not_turned_away_half_way() -> None:
    scheduler = a_scheduler(max_queue_seconds=FIRST_ESTIMATE)
    submit(scheduler, an_item(1), an_item(2), an_item(3))

    assert scheduler.waiting == 3


def test_background_work_does_not_shut_out_a_person() -> None:
    scheduler = a_scheduler(max_queue_seconds=FIRST_ESTIMATE)
    submit(scheduler, *(an_item(number, "job", BACKGROUND) for number in range(10)))

    submit(scheduler, an_item(99, "person"))

    assert ids(scheduler.next_batch(0.0)) == [99]


def test_the_backlog_follows_the_measured_speed() -> None:
    scheduler = a_scheduler(slots=2)
    submit(scheduler, an_item(1))
    batch = scheduler.next_batch(0.0)
    assert batch is not None
    scheduler.finished(batch, 8.0)

    submit(scheduler, an_item(2), an_item(3), an_item(4, options=TINY), now=8.0)

    assert scheduler.backlog(INTERACTIVE) == pytest.approx((8.0 + 8.0 + FIRST_ESTIMATE) / 2)


def test_what_waits_is_shared_out_between_the_slots() -> None:
    scheduler = a_scheduler(slots=2, max_batch=16)
    submit(scheduler, *(an_item(number, f"request {number}") for number in range(6)))

    assert ids(scheduler.next_batch(0.0)) == [0, 1, 2]
    assert len(ids(scheduler.next_batch(0.0))) == 2  # what is left over is for whoever is free first


def test_where_company_costs_time_a_short_request_is_spared_the_windows_of_a_long_one() -> None:
    scheduler = a_scheduler(max_batch=4, cheap_batching=False)
    submit(scheduler, *(an_item(number, "long") for number in range(9)))
    first = start(scheduler)
    submit(scheduler, an_item(98, "short"), an_item(99, "another short"))
    scheduler.finished(first, 1.0)

    assert ids(scheduler.next_batch(1.0)) == [98, 99]


def test_where_company_costs_time_a_newcomer_does_not_wait_for_a_large_batch_of_one_file() -> None:
    scheduler = a_scheduler(max_batch=4, cheap_batching=False)
    submit(scheduler, *(an_item(number, "long") for number in range(9)))
    submit(scheduler, *(an_item(number, "another") for number in range(10, 19)))

    assert ids(scheduler.next_batch(0.0)) == [0, 10, 1, 11]
    assert MAX_PER_REQUEST == 2


def test_where_company_is_cheap_everyone_shares() -> None:
    scheduler = a_scheduler(max_batch=4, cheap_batching=True)
    submit(scheduler, an_item(99, "short"), *(an_item(number, "long") for number in range(9)))

    assert ids(scheduler.next_batch(0.0)) == [99, 0, 1, 2]


def test_a_suspect_window_is_alone_on_the_device() -> None:
    scheduler = a_scheduler(slots=2, max_batch=4)
    submit(scheduler, an_item(1, "a"))
    before = start(scheduler)
    submit(scheduler, an_item(2, "b", alone=True), an_item(3, "c"))

    assert scheduler.next_batch(0.0) is None
    scheduler.finished(before, 1.0)
    suspect = start(scheduler, 1.0)
    assert ids(suspect) == [2]
    assert scheduler.next_batch(1.0) is None
    scheduler.finished(suspect, 2.0)
    assert ids(scheduler.next_batch(2.0)) == [3]


def test_out_of_memory_halves_the_batches_for_a_while() -> None:
    scheduler = a_scheduler(max_batch=8)
    submit(scheduler, *(an_item(number) for number in range(20)))
    batch = start(scheduler)

    assert scheduler.ran_out_of_memory(len(batch.items), 0.0) == 4
    scheduler.finished(batch, 0.0, learn=False)
    smaller = start(scheduler)
    assert len(smaller.items) == 4
    scheduler.finished(smaller, HALVED_SECONDS)
    assert len(start(scheduler, HALVED_SECONDS).items) == 8


def test_out_of_memory_again_halves_again_down_to_one_window() -> None:
    scheduler = a_scheduler(max_batch=8)

    assert [scheduler.ran_out_of_memory(8, 0.0) for _ in range(4)] == [4, 2, 1, 1]


def test_a_batch_is_overdue_after_many_times_its_estimate() -> None:
    scheduler = a_scheduler(max_batch=2, max_queue_seconds=1e9)
    submit(scheduler, *(an_item(number) for number in range(4)))
    scheduler.finished(start(scheduler), 20.0)
    batch = start(scheduler, 20.0)

    assert scheduler.overdue(20.0 + PATIENCE * 20.0) == []
    assert scheduler.overdue(20.1 + PATIENCE * 20.0) == [batch]


def test_no_batch_is_overdue_before_the_floor() -> None:
    scheduler = Scheduler(slots=1, max_batch=1, max_queue_seconds=300, patience_seconds=500.0)
    submit(scheduler, an_item(1))
    batch = start(scheduler)

    assert scheduler.overdue(500.0) == []
    assert scheduler.overdue(500.1) == [batch]


def test_a_batch_that_failed_teaches_nothing_about_speed() -> None:
    scheduler = a_scheduler()
    submit(scheduler, an_item(1), an_item(2))
    scheduler.finished(start(scheduler), 0.001, learn=False)

    assert scheduler.backlog(INTERACTIVE) == pytest.approx(FIRST_ESTIMATE)


def test_the_layout_may_change_while_windows_wait() -> None:
    scheduler = a_scheduler()
    submit(scheduler, *(an_item(number) for number in range(8)))

    scheduler.resize(slots=2, max_batch=3)

    assert ids(scheduler.next_batch(0.0)) == [0, 1, 2]
    assert ids(scheduler.next_batch(0.0)) == [3, 4, 5]


@pytest.mark.parametrize("limits", [{"slots": 0}, {"max_batch": 0}])
def test_a_queue_without_room_is_a_mistake(limits: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        a_scheduler(**limits)


REQUEST = st.tuples(
    st.sampled_from(["a", "b", "c", "d", "e"]), st.sampled_from(list(Priority)), st.sampled_from([BASE, TINY])
)


class SchedulerHistory(RuleBasedStateMachine):
    """Any order of submissions, cancellations, free slots and finished batches."""

    SLOTS, MAX_BATCH = 2, 3

    def __init__(self) -> None:
        super().__init__()
        self.scheduler = a_scheduler(self.SLOTS, self.MAX_BATCH, 1e9, cheap_batching=False)
        self.now = 0.0
        self.items: list[Item] = []
        self.cancelled: set[int] = set()
        self.served: list[Item] = []
        self.running: list[Batch] = []

    @rule(request=REQUEST, seconds=st.floats(0, 20), alone=st.booleans())
    def a_window_arrives(self, request: tuple[str, Priority, DecodeOptions], seconds: float, alone: bool) -> None:
        name, priority, options = request
        self.now += seconds
        item = an_item(len(self.items), f"{name}-{priority}", priority, options, alone=alone)
        self.items.append(item)
        self.scheduler.submit(item, self.now)

    @precondition(lambda self: self.items)
    @rule(data=st.data())
    def a_client_leaves(self, data: st.DataObject) -> None:
        item = data.draw(st.sampled_from(self.items))
        waits = item not in self.served and item.id not in self.cancelled
        assert self.scheduler.cancel(item.id) == waits
        if waits:
            self.cancelled.add(item.id)

    @rule()
    def a_slot_asks_for_work(self) -> None:
        batch = self.scheduler.next_batch(self.now)
        waiting = len(self.items) - len(self.cancelled) - len(self.served)
        if not self.running:
            assert (batch is not None) == (waiting > 0)  # an idle device never stands still while something waits
        if batch:
            assert waiting > 0 and len(self.running) < self.SLOTS
            assert 1 <= len(batch.items) <= self.limit
            assert {item.key for item in batch.items} == {batch.key}
            self.served.extend(batch.items)
            self.running.append(batch)

    @precondition(lambda self: self.running)
    @rule(seconds=st.floats(0, 30))
    def the_device_finishes(self, seconds: float) -> None:
        self.now += seconds
        self.scheduler.finished(self.running.pop(0), self.now)

    @precondition(lambda self: self.running)
    @rule()
    def the_device_runs_out_of_memory(self) -> None:
        batch = self.running.pop()
        before = self.limit
        after = self.scheduler.ran_out_of_memory(len(batch.items), self.now)
        assert after == 1 or after <= before / 2
        self.scheduler.finished(batch, self.now, learn=False)

    @property
    def limit(self) -> int:
        return self.scheduler.batch_limit(self.now)

    @invariant()
    def a_suspect_is_alone(self) -> None:
        on_device = [item for batch in self.running for item in batch.items]
        assert len(on_device) == 1 or not any(item.alone for item in on_device)

    @invariant()
    def nothing_is_served_twice_or_after_it_was_cancelled(self) -> None:
        served = [item.id for item in self.served]
        assert len(served) == len(set(served))
        assert not self.cancelled & set(served)

    @invariant()
    def nothing_is_lost(self) -> None:
        assert self.scheduler.waiting == len(self.items) - len(self.cancelled) - len(self.served)
        assert self.scheduler.running == len(self.running) <= self.SLOTS

    @invariant()
    def every_request_is_served_in_order(self) -> None:
        order = defaultdict(list)
        for item in self.served:
            order[item.ticket.request_id].append(item.id)
        assert all(numbers == sorted(numbers) for numbers in order.values())


TestSchedulerHistory = SchedulerHistory.TestCase


@settings(deadline=None)
@given(st.lists(REQUEST, min_size=1, max_size=40), st.integers(1, 4), st.integers(1, 5))
def test_everything_that_waits_is_served_exactly_once(
    requests: list[tuple[str, Priority, DecodeOptions]], slots: int, max_batch: int
) -> None:
    scheduler = a_scheduler(slots, max_batch)
    for number, (name, priority, options) in enumerate(requests):
        submit(scheduler, an_item(number, f"{name}-{priority}", priority, options))

    assert sorted(drain(scheduler)) == list(range(len(requests)))


@settings(deadline=None)
@given(st.integers(1, 8), st.floats(0.1, 5.0))
def test_nobody_starves_however_many_newcomers_arrive(background: int, batch_seconds: float) -> None:
    scheduler = a_scheduler(max_queue_seconds=1e9)
    submit(scheduler, *(an_item(number, f"job {number}", BACKGROUND) for number in range(background)))
    served: set[int] = set()
    now = 0.0
    newcomer = 1000
    # One newcomer for every window served, for ever: each aged job still gets its turn within one round of the ring.
    for _ in range(int(AGEING_SECONDS / batch_seconds) + 2 * background + 2):
        submit(scheduler, an_item(newcomer, f"person {newcomer}"), now=now)
        newcomer += 1
        batch = scheduler.next_batch(now)
        assert batch is not None
        served.update(ids(batch))
        now += batch_seconds
        scheduler.finished(batch, now)

    assert set(range(background)) <= served


@settings(deadline=None)
@given(st.lists(st.integers(0, 30), min_size=1, max_size=60), st.floats(1.0, 30.0))
def test_no_new_request_is_let_in_past_the_limit(requests: list[int], limit: float) -> None:
    scheduler = a_scheduler(max_queue_seconds=limit)
    admitted: set[int] = set()
    for number, request in enumerate(requests):
        wait = scheduler.backlog(INTERACTIVE)
        try:
            submit(scheduler, an_item(number, str(request)))
        except ServiceUnavailable as refusal:
            assert request not in admitted and wait > limit
            assert refusal.retry_after >= 1.0
        else:
            assert request in admitted or wait <= limit
            admitted.add(request)
