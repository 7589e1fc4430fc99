"""The scheduler's decisions, by example. Properties that hold for any history are in test_scheduler_properties.py."""

from __future__ import annotations

import pytest

from runners.batching.queue import AGEING_SECONDS, size_of
from runners.batching.scheduler import FIRST_ESTIMATE, HALVED_SECONDS, MAX_PER_REQUEST, PATIENCE, Scheduler
from tests.support.scheduling import (
    BACKGROUND,
    INTERACTIVE,
    TINY,
    a_scheduler,
    an_item,
    drain,
    ids,
    start,
    submit,
)
from transcription.core.audio import SAMPLE_RATE
from transcription.core.errors import ServiceUnavailable
from transcription.core.options import DecodeOptions, Task


def test_an_empty_queue_gives_no_batch() -> None:
    assert a_scheduler().next_batch(0.0) is None


def test_a_single_window_is_served_at_once() -> None:
    scheduler = a_scheduler(max_batch=16)
    submit(scheduler, an_item(1))

    assert ids(scheduler.next_batch(0.0)) == [1]


def test_waiting_windows_share_a_batch_up_to_the_limit() -> None:
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


def test_a_new_request_goes_before_a_long_file_that_was_served_already() -> None:
    scheduler = a_scheduler()
    submit(scheduler, *(an_item(number, "long") for number in range(10)))
    first = start(scheduler)
    submit(scheduler, an_item(99, "short"))
    scheduler.finished(first, 1.0)

    assert ids(scheduler.next_batch(1.0)) == [99]


def test_a_long_file_advances_under_a_flood_of_new_requests() -> None:
    scheduler = a_scheduler()
    submit(scheduler, an_item(0, "long"), an_item(1, "long"))
    scheduler.finished(start(scheduler), 0.0)
    served: list[int] = []
    now = 0.0
    while 1 not in served and now < 10 * AGEING_SECONDS:
        submit(scheduler, an_item(len(served) + 2, f"new_request {now}"), now=now)
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
        submit(scheduler, an_item(number, f"request {number}"), now=now)
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


def test_an_admitted_request_is_not_refused_half_way() -> None:
    scheduler = a_scheduler(max_queue_seconds=FIRST_ESTIMATE)
    submit(scheduler, an_item(1), an_item(2), an_item(3))

    assert scheduler.waiting == 3


def test_background_work_does_not_count_against_an_interactive_request() -> None:
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


def test_short_windows_are_expected_to_take_less_time() -> None:
    scheduler = a_scheduler()
    submit(scheduler, an_item(1, size=0.5))
    scheduler.finished(start(scheduler), 2.0)

    submit(scheduler, an_item(2, size=1.0), an_item(3, size=0.25), now=2.0)

    assert scheduler.backlog(INTERACTIVE) == pytest.approx(4.0 + 1.0)


def test_the_size_of_a_window_grows_with_its_audio_and_is_never_nothing() -> None:
    sizes = [size_of(seconds * SAMPLE_RATE) for seconds in (0, 3, 15, 30)]

    assert sizes == sorted(sizes)
    assert sizes[0] > 0.2
    assert sizes[2] == 1.0


def test_waiting_windows_are_shared_out_between_the_free_slots() -> None:
    scheduler = a_scheduler(slots=3, max_batch=16)
    submit(scheduler, an_item(0, "running"))
    assert ids(scheduler.next_batch(0.0)) == [0]
    submit(scheduler, *(an_item(number, f"request {number}") for number in range(1, 7)))

    assert ids(scheduler.next_batch(0.0)) == [1, 2, 3]
    assert ids(scheduler.next_batch(0.0)) == [4, 5, 6]


def test_the_only_free_slot_takes_all_that_wait_within_the_limit() -> None:
    scheduler = a_scheduler(slots=2, max_batch=4)
    submit(scheduler, an_item(0, "running"))
    assert ids(scheduler.next_batch(0.0)) == [0]
    submit(scheduler, *(an_item(number, f"request {number}") for number in range(1, 7)))

    assert ids(scheduler.next_batch(0.0)) == [1, 2, 3, 4]


def test_where_batching_costs_time_a_short_request_shares_no_batch_with_a_long_one() -> None:
    scheduler = a_scheduler(max_batch=4, cheap_batching=False)
    submit(scheduler, *(an_item(number, "long") for number in range(9)))
    first = start(scheduler)
    submit(scheduler, an_item(98, "short"), an_item(99, "another short"))
    scheduler.finished(first, 1.0)

    assert ids(scheduler.next_batch(1.0)) == [98, 99]


def test_where_batching_costs_time_a_new_request_does_not_wait_for_a_large_batch_of_one_file() -> None:
    scheduler = a_scheduler(max_batch=4, cheap_batching=False)
    submit(scheduler, *(an_item(number, "long") for number in range(9)))
    submit(scheduler, *(an_item(number, "another") for number in range(10, 19)))

    assert ids(scheduler.next_batch(0.0)) == [0, 10, 1, 11]
    assert MAX_PER_REQUEST == 2


def test_where_batching_is_cheap_all_requests_share_a_batch() -> None:
    scheduler = a_scheduler(max_batch=4, cheap_batching=True)
    submit(scheduler, an_item(99, "short"), *(an_item(number, "long") for number in range(9)))

    assert ids(scheduler.next_batch(0.0)) == [99, 0, 1, 2]


def test_a_quarantined_window_is_alone_on_the_device() -> None:
    scheduler = a_scheduler(slots=2, max_batch=4)
    submit(scheduler, an_item(1, "a"))
    before = start(scheduler)
    submit(scheduler, an_item(2, "b", alone=True), an_item(3, "c"))

    assert scheduler.next_batch(0.0) is None
    scheduler.finished(before, 1.0)
    quarantined = start(scheduler, 1.0)
    assert ids(quarantined) == [2]
    assert scheduler.next_batch(1.0) is None
    scheduler.finished(quarantined, 2.0)
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


def test_a_failed_batch_does_not_change_the_estimate() -> None:
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
def test_a_layout_without_slots_or_windows_is_refused(limits: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        a_scheduler(**limits)
