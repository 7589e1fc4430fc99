"""What every store of jobs does with shared work, after the end of a job, and about webhooks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.unit.jobs.store.contract import (
    BROKEN,
    HOOK,
    LEASE,
    RESULT_TTL,
    WINDOW,
    Calls,
    Clock,
    new_job,
    transcript,
    window,
)
from transcription.jobs.job import Delivery, DeliveryState, JobStatus

DELIVERY_LEASE = 15.0  # seconds


def finish(store: Calls, job_id: str, **fields: str) -> None:
    """Accept a job, begin it and complete it."""
    store.submit(new_job(job_id, **fields))
    store.complete(store.claim("me"), transcript())


def statuses(store: Calls, job_ids: str) -> list[JobStatus]:
    return [store.get(job_id).status for job_id in job_ids]


class EndsContract:
    """One behaviour a test, through the interface alone."""

    # Counting

    def test_jobs_are_counted_by_status_with_the_one_that_waits_longest(self, store: Calls, clock: Clock) -> None:
        assert store.census().oldest_queued is None
        finish(store, "a")
        for job_id in ("b", "c", "d"):
            store.submit(new_job(job_id))
            clock.move(1)
        assert store.claim("me").id == "b"
        census = store.census()
        assert census.jobs == {JobStatus.COMPLETED: 1, JobStatus.PROCESSING: 1, JobStatus.QUEUED: 2}
        assert census.oldest_queued == clock.now - 2

    # Shared work

    def test_work_that_is_being_done_is_not_begun_again(self, store: Calls) -> None:
        for job_id, work in (("a", "x"), ("b", "x"), ("c", "y")):
            store.submit(new_job(job_id, work))
        assert [store.claim("me").id for _ in range(2)] == ["a", "c"]
        assert store.claim("me") is None

    def test_a_job_that_waits_for_its_work_shows_the_progress_of_it(self, store: Calls) -> None:
        store.submit(new_job("a", "x"))
        store.submit(new_job("b", "x"))
        assert store.get("b").status == JobStatus.QUEUED
        store.checkpoint(store.claim("me"), 0, window(0), 60.0)
        shown = store.get("b")
        assert (shown.status, shown.seconds_done, shown.seconds_total) == (JobStatus.PROCESSING, WINDOW, 60.0)
        assert shown.attempt == 0

    def test_one_result_ends_every_job_of_the_work(self, store: Calls, clock: Clock) -> None:
        for job_id, work in (("a", "x"), ("b", "x"), ("c", "y")):
            store.submit(new_job(job_id, work, callback_url=HOOK))
        lease = store.claim("me")
        clock.move(5.0)
        store.complete(lease, transcript(" shared"))
        assert statuses(store, "abc") == [JobStatus.COMPLETED, JobStatus.COMPLETED, JobStatus.QUEUED]
        assert store.result("b") == transcript(" shared")
        assert store.get("b").finished_at == clock.now
        assert {store.claim_delivery(DELIVERY_LEASE).id for _ in range(2)} == {"a", "b"}
        assert store.claim_delivery(DELIVERY_LEASE) is None

    @pytest.mark.parametrize("end", [lambda s, lease: s.cancel("a"), lambda s, lease: s.fail(lease, BROKEN)])
    def test_who_shares_the_work_of_a_job_that_ends_early_goes_on_from_there(
        self, store: Calls, end: Callable[..., None]
    ) -> None:
        store.submit(new_job("a", "x"))
        store.submit(new_job("b", "x"))
        lease = store.claim("me")
        store.checkpoint(lease, 0, window(0), 60.0)
        end(store, lease)
        following = store.claim("me")
        assert (following.id, following.seconds_done, following.seconds_total) == ("b", WINDOW, 60.0)
        assert store.checkpoints("x") == [window(0)]

    def test_the_pause_of_a_postponed_job_holds_for_all_who_share_its_work(self, store: Calls, clock: Clock) -> None:
        store.submit(new_job("a", "x"))
        store.submit(new_job("b", "x"))
        store.postpone(store.claim("me"), 30.0)
        assert store.claim("me") is None
        clock.move(30.0)
        assert store.claim("me").id == "a"

    def test_a_lost_owner_of_shared_work_is_replaced_once(self, store: Calls, clock: Clock) -> None:
        store.submit(new_job("a", "x"))
        store.submit(new_job("b", "x"))
        store.claim("first")
        clock.move(LEASE)
        assert store.claim("second").id == "a"
        assert store.claim("third") is None

    # Again

    def test_a_failed_job_that_is_retried_goes_on_from_its_checkpoints(self, store: Calls) -> None:
        store.submit(new_job("a", callback_url=HOOK))
        lease = store.claim("me")
        store.checkpoint(lease, 0, window(0), 60.0)
        store.postpone(lease, 0.0)
        store.fail(store.claim("me"), BROKEN)
        before = store.get("a")
        job = store.retry("a")
        assert (job.status, job.failures, job.failure) == (JobStatus.QUEUED, 0, None)
        assert (job.started_at, job.finished_at, job.expires_at) == (None, None, None)
        assert job.delivery == Delivery(HOOK)
        assert job.number == before.number
        assert store.checkpoints(job.work) == [window(0)]
        assert store.claim("me").seconds_done == WINDOW

    def test_attempts_are_counted_on_when_a_job_is_retried(self, store: Calls) -> None:
        store.submit(new_job("a"))
        store.fail(store.claim("me"), BROKEN)
        store.retry("a")
        assert store.claim("me").attempt == 2

    def test_a_completed_job_that_is_retried_really_runs_again(self, store: Calls) -> None:
        store.submit(new_job("a"))
        lease = store.claim("me")
        store.checkpoint(lease, 0, window(0), 60.0)
        store.complete(lease, transcript(" first"))
        assert store.retry("a").seconds_done == 0.0
        assert store.checkpoints("work of a") == []
        assert store.cached("work of a") is None
        assert store.result("a") is None
        store.complete(store.claim("me"), transcript(" second"))
        assert store.result("a") == transcript(" second")

    def test_a_retry_takes_the_result_from_no_other_job(self, store: Calls) -> None:
        finish(store, "a", work="x")
        finish_at_once, _ = store.submit(new_job("b", "x"))
        assert finish_at_once.finished
        store.retry("a")
        assert store.result("b") == transcript()

    def test_a_retry_joins_whoever_does_the_work_already(self, store: Calls, clock: Clock) -> None:
        finish(store, "a", work="x")
        clock.move(RESULT_TTL)
        store.submit(new_job("b", "x"))
        store.checkpoint(store.claim("me"), 0, window(0), 60.0)
        store.retry("a")
        assert store.checkpoints("x") == [window(0)]
        assert store.get("a").status == JobStatus.PROCESSING

    @pytest.mark.parametrize("status", [JobStatus.QUEUED, JobStatus.PROCESSING, JobStatus.CANCELLED])
    def test_any_other_job_is_not_retried(self, store: Calls, status: JobStatus) -> None:
        store.submit(new_job("a"))
        if status == JobStatus.PROCESSING:
            store.claim("me")
        if status == JobStatus.CANCELLED:
            store.cancel("a")
        assert store.retry("a") == store.get("a")
        assert store.get("a").status == status

    # Webhooks

    def test_a_webhook_is_due_when_the_job_ends_and_not_before(self, store: Calls) -> None:
        store.submit(new_job("a", callback_url=HOOK))
        store.submit(new_job("silent"))
        lease = store.claim("me")
        assert store.claim_delivery(DELIVERY_LEASE) is None
        store.fail(lease, BROKEN)
        store.fail(store.claim("me"), BROKEN)
        due = store.claim_delivery(DELIVERY_LEASE)
        assert (due.id, due.status, due.delivery.attempts) == ("a", JobStatus.FAILED, 1)
        assert store.claim_delivery(DELIVERY_LEASE) is None

    def test_a_webhook_whose_sender_died_is_due_again(self, store: Calls, clock: Clock) -> None:
        finish(store, "a", callback_url=HOOK)
        store.claim_delivery(DELIVERY_LEASE)
        clock.move(DELIVERY_LEASE)
        assert store.claim_delivery(DELIVERY_LEASE).delivery.attempts == 2

    def test_a_delivered_webhook_is_never_due_again(self, store: Calls, clock: Clock) -> None:
        finish(store, "a", callback_url=HOOK)
        tried = store.claim_delivery(DELIVERY_LEASE).delivery
        told = replace(tried, state=DeliveryState.DELIVERED, next_at=None, detail="200")
        store.settle_delivery("a", told)
        clock.move(1e5)
        assert store.claim_delivery(DELIVERY_LEASE) is None
        assert store.get("a").delivery == told

    def test_a_failed_webhook_is_tried_when_its_pause_is_over(self, store: Calls, clock: Clock) -> None:
        finish(store, "a", callback_url=HOOK)
        tried = store.claim_delivery(DELIVERY_LEASE).delivery
        store.settle_delivery("a", replace(tried, next_at=clock.now + 100.0, detail="503"))
        clock.move(99.0)
        assert store.claim_delivery(DELIVERY_LEASE) is None
        clock.move(1.0)
        assert store.claim_delivery(DELIVERY_LEASE).delivery.attempts == 2

    def test_a_late_sender_does_not_overwrite_a_later_try(self, store: Calls, clock: Clock) -> None:
        finish(store, "a", callback_url=HOOK)
        late = store.claim_delivery(DELIVERY_LEASE).delivery
        clock.move(DELIVERY_LEASE)
        later = store.claim_delivery(DELIVERY_LEASE).delivery
        store.settle_delivery("a", replace(late, state=DeliveryState.GIVEN_UP, next_at=None))
        assert store.get("a").delivery == later

    def test_a_clock_set_back_does_not_hold_a_webhook(self, store: Calls, clock: Clock) -> None:
        finish(store, "a", callback_url=HOOK)
        clock.move(-1e6)
        assert store.claim_delivery(DELIVERY_LEASE).id == "a"

    # Housekeeping

    def test_what_has_expired_is_deleted(self, store: Calls, clock: Clock) -> None:
        store.submit(new_job("a"))
        lease = store.claim("me")
        store.checkpoint(lease, 0, window(0), 60.0)
        store.complete(lease, transcript())
        clock.move(RESULT_TTL - 1)
        store.expire()
        assert store.result("a") == transcript()
        clock.move(1)
        store.expire()
        assert store.get("a") is None
        assert store.checkpoints("work of a") == []
        assert store.recordings_in_use() == frozenset()

    def test_a_result_is_kept_while_a_job_has_it(self, store: Calls, clock: Clock) -> None:
        store.remember("x", transcript())
        clock.move(RESULT_TTL / 2)
        store.submit(new_job("a", "x"))
        clock.move(RESULT_TTL / 2)
        store.expire()
        assert store.cached("x") is None
        assert store.result("a") == transcript()

    def test_an_unfinished_job_never_expires(self, store: Calls, clock: Clock) -> None:
        store.submit(new_job("a"))
        store.submit(new_job("b"))
        store.checkpoint(store.claim("me"), 0, window(0), 60.0)
        clock.move(100 * RESULT_TTL)
        store.expire()
        assert statuses(store, "ab") == [JobStatus.PROCESSING, JobStatus.QUEUED]
        assert store.checkpoints("work of a") == [window(0)]

    def test_a_job_whose_webhook_is_not_settled_outlives_its_time(self, store: Calls, clock: Clock) -> None:
        finish(store, "a", callback_url=HOOK)
        clock.move(RESULT_TTL)
        store.expire()
        assert store.claim_delivery(DELIVERY_LEASE).id == "a"
        clock.move(2 * 86_400)
        store.expire()
        assert store.get("a") is None

    def test_a_finished_job_can_be_forgotten(self, store: Calls) -> None:
        finish(store, "a")
        store.delete("a")
        assert store.get("a") is None
        assert store.cached("work of a") is None

    def test_a_forgotten_job_takes_the_result_from_no_other(self, store: Calls) -> None:
        finish(store, "a", work="x")
        store.submit(new_job("b", "x"))
        store.delete("a")
        assert store.result("b") == transcript()

    def test_an_unfinished_job_is_not_forgotten(self, store: Calls) -> None:
        store.submit(new_job("a"))
        store.delete("a")
        assert store.get("a").status == JobStatus.QUEUED

    def test_the_key_of_a_forgotten_job_is_free(self, store: Calls) -> None:
        finish(store, "a", idempotency_key="key")
        store.delete("a")
        assert store.submit(new_job("b", idempotency_key="key", fingerprint="other"))[1]

    def test_a_recording_is_needed_until_its_job_is_cancelled_or_gone(self, store: Calls) -> None:
        for job_id in "abc":
            store.submit(new_job(job_id))
        store.fail(store.claim("me"), BROKEN)  # and may be retried
        store.cancel("b")
        assert store.recordings_in_use() == {"a.bin", "c.bin"}
