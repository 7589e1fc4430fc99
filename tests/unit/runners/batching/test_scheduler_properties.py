"""Properties of the scheduler that hold for any history."""

from __future__ import annotations

from collections import defaultdict

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from runners.batching.queue import AGEING_SECONDS, Item
from runners.batching.scheduler import Batch
from tests.support.scheduling import BACKGROUND, BASE, INTERACTIVE, TINY, a_scheduler, an_item, drain, ids, submit
from transcription.core.errors import ServiceUnavailable
from transcription.core.options import DecodeOptions, Priority

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
    def a_quarantined_window_is_alone(self) -> None:
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
def test_every_waiting_window_is_served_exactly_once(
    requests: list[tuple[str, Priority, DecodeOptions]], slots: int, max_batch: int
) -> None:
    scheduler = a_scheduler(slots, max_batch)
    for number, (name, priority, options) in enumerate(requests):
        submit(scheduler, an_item(number, f"{name}-{priority}", priority, options))

    assert sorted(drain(scheduler)) == list(range(len(requests)))


@settings(deadline=None)
@given(st.integers(1, 8), st.floats(0.1, 5.0))
def test_no_request_starves_however_many_new_ones_arrive(background: int, batch_seconds: float) -> None:
    scheduler = a_scheduler(max_queue_seconds=1e9)
    submit(scheduler, *(an_item(number, f"job {number}", BACKGROUND) for number in range(background)))
    served: set[int] = set()
    now = 0.0
    new_request = 1000
    # One new request for every window served: each aged job still gets its turn within one round of the ring.
    for _ in range(int(AGEING_SECONDS / batch_seconds) + 2 * background + 2):
        submit(scheduler, an_item(new_request, f"request {new_request}"), now=now)
        new_request += 1
        batch = scheduler.next_batch(now)
        assert batch is not None
        served.update(ids(batch))
        now += batch_seconds
        scheduler.finished(batch, now)

    assert set(range(background)) <= served


@settings(deadline=None)
@given(st.lists(st.integers(0, 30), min_size=1, max_size=60), st.floats(1.0, 30.0))
def test_no_new_request_is_admitted_past_the_limit(requests: list[int], limit: float) -> None:
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
