"""Expiry, and recordings in use."""

from __future__ import annotations

from tests.unit.jobs.store.support import (
    BROKEN,
    DELIVERY_LEASE,
    HOOK,
    RESULT_TTL,
    Calls,
    Clock,
    finish,
    new_job,
    statuses,
    transcript,
    window,
)
from transcription.jobs.job import JobStatus


class MaintenanceContract:
    """Expiry, and recordings in use."""

    def test_expired_jobs_and_results_are_deleted(self, store: Calls, clock: Clock) -> None:
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

    def test_a_result_is_kept_while_a_job_refers_to_it(self, store: Calls, clock: Clock) -> None:
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

    def test_a_job_with_a_pending_webhook_is_kept_for_a_grace_period(self, store: Calls, clock: Clock) -> None:
        finish(store, "a", callback_url=HOOK)
        clock.move(RESULT_TTL)
        store.expire()
        assert store.claim_delivery(DELIVERY_LEASE).id == "a"
        clock.move(2 * 86_400)
        store.expire()
        assert store.get("a") is None

    def test_a_recording_is_in_use_until_its_job_is_cancelled_or_deleted(self, store: Calls) -> None:
        for job_id in "abc":
            store.submit(new_job(job_id))
        store.fail(store.claim("me"), BROKEN)  # and may be retried
        store.cancel("b")
        assert store.recordings_in_use() == {"a.bin", "c.bin"}
