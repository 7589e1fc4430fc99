"""Claims, leases and attempts of workers."""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.unit.jobs.store.support import (
    BROKEN,
    DELIVERY_LEASE,
    HOOK,
    LEASE,
    RESULT_TTL,
    START,
    WINDOW,
    Calls,
    Clock,
    new_job,
    said,
    statuses,
    transcript,
    window,
)
from transcription.core.transcript import WindowResult
from transcription.jobs.job import Job, JobStatus
from transcription.jobs.store.base import LeaseLost


class ClaimContract:
    """Claims and leases."""

    def test_the_oldest_job_is_claimed_first(self, store: Calls) -> None:
        for job_id in ("b", "a", "c"):
            store.submit(new_job(job_id))
        assert [store.claim("me").id for _ in range(3)] == ["b", "a", "c"]
        assert store.claim("me") is None

    def test_a_given_job_is_claimed_only_if_it_is_due(self, store: Calls) -> None:
        for job_id, work in (("a", "x"), ("b", "y"), ("c", "y")):
            store.submit(new_job(job_id, work))
        assert store.claim("me", "c") is None  # an older job does the same work
        assert store.claim("me", "b").id == "b"
        assert store.claim("other", "b") is None
        assert store.claim("me", "unknown") is None
        assert store.claim("me").id == "a"

    def test_a_claimed_job_is_processing_in_its_first_attempt(self, store: Calls, clock: Clock) -> None:
        store.submit(new_job("a"))
        clock.move(5)
        lease = store.claim("me")
        assert lease == store.get("a")
        assert (lease.status, lease.attempt, lease.failures) == (JobStatus.PROCESSING, 1, 0)
        assert lease.started_at == START + 5

    def test_a_renewed_lease_is_not_taken_over(self, store: Calls, clock: Clock) -> None:
        store.submit(new_job("a"))
        lease = store.claim("first")
        for _ in range(5):
            clock.move(LEASE - 1)
            store.renew(lease)
            assert store.claim("second") is None

    def test_an_expired_lease_is_taken_over_and_counts_as_a_failure(self, store: Calls, clock: Clock) -> None:
        store.submit(new_job("a"))
        store.claim("first")
        clock.move(LEASE)
        taken = store.claim("second")
        assert (taken.id, taken.attempt, taken.failures) == ("a", 2, 1)

    def test_an_owner_does_not_claim_its_own_job_again(self, store: Calls, clock: Clock) -> None:
        store.submit(new_job("a"))
        lease = store.claim("me")
        clock.move(2 * LEASE)
        assert store.claim("me") is None
        store.renew(lease)

    @pytest.mark.parametrize("jump", [-1e6, -LEASE - 1, LEASE, 1e6])
    def test_a_clock_jump_leaves_no_job_stuck(self, store: Calls, clock: Clock, jump: float) -> None:
        store.submit(new_job("a"))
        store.claim("first")
        clock.move(jump)
        assert store.claim("second").id == "a"

    @pytest.mark.parametrize(
        "write",
        [
            lambda store, lease: store.renew(lease),
            lambda store, lease: store.checkpoint(lease, 0, window(0), 60.0),
            lambda store, lease: store.complete(lease, transcript()),
            lambda store, lease: store.fail(lease, BROKEN),
            lambda store, lease: store.postpone(lease, 1.0),
            lambda store, lease: store.release(lease),
        ],
        ids=["renew", "checkpoint", "complete", "fail", "postpone", "release"],
    )
    @pytest.mark.parametrize("fate", ["taken over", "cancelled", "ended and retried"])
    def test_a_former_owner_changes_nothing(
        self, store: Calls, clock: Clock, write: Callable[[Calls, Job], None], fate: str
    ) -> None:
        store.submit(new_job("a"))
        lease = store.claim("first")
        if fate == "taken over":
            clock.move(LEASE)
            store.claim("second")
        elif fate == "cancelled":
            store.cancel("a")
        else:
            store.fail(lease, BROKEN)
            store.retry("a")
            store.claim("second")
        before = store.get("a")
        with pytest.raises(LeaseLost):
            write(store, lease)
        assert store.get("a") == before
        assert store.checkpoints("work of a") == []
        assert store.cached("work of a") is None


class ProgressContract:
    """Checkpoints, postponements and ends of attempts."""

    def test_a_checkpoint_records_progress(self, store: Calls, clock: Clock) -> None:
        store.submit(new_job("a"))
        store.claim("first")
        clock.move(LEASE)
        lease = store.claim("second")
        store.checkpoint(lease, 0, window(0, " one"), 60.0)
        store.checkpoint(lease, 1, window(1, " two"), 60.0)
        job = store.get("a")
        assert (job.seconds_done, job.seconds_total, job.failures) == (2 * WINDOW, 60.0, 0)
        assert store.checkpoints(job.work) == [window(0, " one"), window(1, " two")]
        assert store.checkpoints(job.work, 1) == [window(1, " two")]

    def test_a_checkpoint_renews_the_lease(self, store: Calls, clock: Clock) -> None:
        store.submit(new_job("a"))
        lease = store.claim("first")
        clock.move(LEASE - 1)
        store.checkpoint(lease, 0, window(0), None)
        clock.move(LEASE - 1)
        assert store.claim("second") is None

    def test_a_repeated_checkpoint_keeps_the_first_result(self, store: Calls) -> None:
        store.submit(new_job("a"))
        lease = store.claim("me")
        store.checkpoint(lease, 0, window(0, " first"), None)
        store.checkpoint(lease, 0, window(0, " second"), None)
        assert store.checkpoints("work of a") == [window(0, " first")]

    def test_infinite_numbers_survive_storage(self, store: Calls) -> None:
        store.submit(new_job("a"))
        odd = replace(said(" odd"), avg_logprob=float("-inf"))
        placed = replace(window(0), result=WindowResult("en", 1.0, (odd,)))
        store.checkpoint(store.claim("me"), 0, placed, None)
        assert store.checkpoints("work of a") == [placed]

    def test_what_was_found_out_about_speakers_survives_storage(self, store: Calls) -> None:
        """Observations of a minute: base 85 has quotes, braces and backticks."""
        store.submit(new_job("a"))
        heard = "made by:" + base64.b85encode(bytes(range(256)) * 64).decode()
        placed = [replace(window(0), heard=heard), window(1), replace(window(2), heard=heard[::-1])]
        lease = store.claim("me")
        for position, each in enumerate(placed):
            store.checkpoint(lease, position, each, None)
        store.release(lease)
        assert store.checkpoints("work of a") == placed

    def test_the_duration_of_a_recording_is_stored_before_the_first_attempt(self, store: Calls) -> None:
        store.submit(new_job("a"))
        store.examined("a", 12.5)
        store.examined("a", None)
        assert store.get("a").seconds_total == 12.5

    def test_a_postponed_job_waits_and_counts_a_failure(self, store: Calls, clock: Clock) -> None:
        store.submit(new_job("a"))
        store.postpone(store.claim("me"), 30.0)
        assert (store.get("a").status, store.get("a").failures) == (JobStatus.QUEUED, 1)
        assert store.claim("me") is None
        clock.move(30.0)
        assert store.claim("me").attempt == 2

    def test_a_postponement_need_not_count_as_a_failure(self, store: Calls, clock: Clock) -> None:
        store.submit(new_job("a"))
        store.postpone(store.claim("me"), 30.0, counted=False)
        assert store.claim("me") is None
        clock.move(30.0)
        assert store.claim("me").failures == 0

    def test_a_clock_set_back_slightly_does_not_make_a_postponed_job_due(self, store: Calls, clock: Clock) -> None:
        store.submit(new_job("a"))
        store.postpone(store.claim("me"), 0.0)
        clock.move(-1.0)
        assert store.claim("me") is None
        clock.move(1.0)
        assert store.claim("me").id == "a"

    def test_a_clock_set_far_back_does_not_prolong_a_postponement(self, store: Calls, clock: Clock) -> None:
        store.submit(new_job("a"))
        store.postpone(store.claim("me"), 30.0)
        clock.move(-1e6)
        assert store.claim("me").id == "a"

    def test_a_released_job_is_due_at_once_and_counts_no_failure(self, store: Calls) -> None:
        store.submit(new_job("a"))
        lease = store.claim("first")
        store.checkpoint(lease, 0, window(0), 60.0)
        store.release(lease)
        again = store.claim("second")
        assert (again.attempt, again.failures, again.seconds_done) == (2, 0, WINDOW)

    def test_a_completed_job_has_its_transcript(self, store: Calls, clock: Clock) -> None:
        store.submit(new_job("a"))
        lease = store.claim("me")
        clock.move(12.0)
        store.complete(lease, transcript(" all", duration=60.0))
        job = store.get("a")
        assert (job.status, job.seconds_done, job.seconds_total) == (JobStatus.COMPLETED, 60.0, 60.0)
        assert (job.finished_at, job.expires_at) == (START + 12, START + 12 + RESULT_TTL)
        assert store.result("a") == transcript(" all", duration=60.0)
        assert store.cached(job.work) == transcript(" all", duration=60.0)

    def test_a_failed_job_has_its_failure(self, store: Calls) -> None:
        store.submit(new_job("a"))
        store.fail(store.claim("me"), BROKEN)
        assert (store.get("a").status, store.get("a").failure) == (JobStatus.FAILED, BROKEN)
        assert store.result("a") is None

    def test_only_a_queued_job_can_be_refused(self, store: Calls) -> None:
        store.submit(new_job("a"))
        store.submit(new_job("b"))
        store.claim("me")
        assert not store.refuse("a", BROKEN)
        assert store.refuse("b", BROKEN)
        assert [store.get(job_id).status for job_id in "ab"] == [JobStatus.PROCESSING, JobStatus.FAILED]


class SharedWorkContract:
    """Several jobs with the same work."""

    def test_work_in_progress_is_not_begun_again(self, store: Calls) -> None:
        for job_id, work in (("a", "x"), ("b", "x"), ("c", "y")):
            store.submit(new_job(job_id, work))
        assert [store.claim("me").id for _ in range(2)] == ["a", "c"]
        assert store.claim("me") is None

    def test_a_job_that_waits_for_shared_work_shows_its_progress(self, store: Calls) -> None:
        store.submit(new_job("a", "x"))
        store.submit(new_job("b", "x"))
        assert store.get("b").status == JobStatus.QUEUED
        store.checkpoint(store.claim("me"), 0, window(0), 60.0)
        shown = store.get("b")
        assert (shown.status, shown.seconds_done, shown.seconds_total) == (JobStatus.PROCESSING, WINDOW, 60.0)
        assert shown.attempt == 0

    def test_one_result_completes_every_job_with_the_same_work(self, store: Calls, clock: Clock) -> None:
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
    def test_the_next_job_resumes_the_shared_work_of_one_that_ended_early(
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

    def test_a_postponement_holds_for_all_jobs_with_the_same_work(self, store: Calls, clock: Clock) -> None:
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
