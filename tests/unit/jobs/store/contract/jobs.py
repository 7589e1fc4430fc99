"""Commands and queries of clients."""

from __future__ import annotations

import pytest

from formats.subtitles.layout import SubtitleLayout
from tests.unit.jobs.store.support import (
    BROKEN,
    HOOK,
    REQUEST,
    RESULT_TTL,
    START,
    WINDOW,
    Calls,
    Clock,
    finish,
    new_job,
    transcript,
    window,
)
from transcription.core.errors import IdempotencyConflict
from transcription.jobs.job import Ahead, Delivery, Job, JobStatus, KeptLayout, Recording


class AcceptanceContract:
    """The acceptance of jobs."""

    def test_the_subtitle_layout_of_a_submission_is_stored(self, store: Calls) -> None:
        kept = KeptLayout(SubtitleLayout(max_line_width=42, min_gap=0.083, highlight_words=True), shows_words=True)
        store.submit(new_job("a", layout=kept))
        assert store.get("a").layout == kept

    def test_an_accepted_job_is_queued_as_submitted(self, store: Calls) -> None:
        accepted, is_new = store.submit(new_job("a", callback_url=HOOK, response_format="srt", request_id="r-1"))
        assert is_new
        assert accepted == store.get("a")
        assert accepted == Job(
            id="a",
            number=accepted.number,
            work="work of a",
            status=JobStatus.QUEUED,
            request=REQUEST,
            recording=Recording("a.bin", "0" * 64, 1),
            response_format="srt",
            created_at=START,
            delivery=Delivery(HOOK),
            request_id="r-1",
        )

    def test_an_unknown_job_is_none(self, store: Calls) -> None:
        assert store.get("a") is None
        assert store.cancel("a") is None
        assert store.retry("a") is None
        assert store.result("a") is None

    def test_the_same_idempotency_key_returns_the_same_job(self, store: Calls) -> None:
        first, _ = store.submit(new_job("a", idempotency_key="key"))
        again, is_new = store.submit(new_job("b", idempotency_key="key"))
        assert (again, is_new) == (first, False)
        assert store.get("b") is None

    def test_an_idempotency_key_of_another_submission_is_rejected(self, store: Calls) -> None:
        store.submit(new_job("a", idempotency_key="key", fingerprint="one"))
        with pytest.raises(IdempotencyConflict, match="Send a new key"):
            store.submit(new_job("b", idempotency_key="key", fingerprint="two"))
        assert store.get("b") is None

    def test_a_job_whose_work_has_a_result_is_completed_at_once(self, store: Calls, clock: Clock) -> None:
        store.remember("same", transcript(duration=60.0))
        job, _ = store.submit(new_job("a", "same", callback_url=HOOK))
        assert (job.status, job.seconds_done, job.seconds_total) == (JobStatus.COMPLETED, 60.0, 60.0)
        assert (job.finished_at, job.expires_at) == (START, START + RESULT_TTL)
        assert store.result("a") == transcript(duration=60.0)
        assert store.claim_delivery(5.0).id == "a"

    def test_an_expired_result_completes_no_job(self, store: Calls, clock: Clock) -> None:
        store.remember("same", transcript())
        clock.move(RESULT_TTL)
        job, _ = store.submit(new_job("a", "same"))
        assert job.status == JobStatus.QUEUED
        assert store.cached("same") is None


class QueryContract:
    """Lists, snapshots and counts."""

    def test_a_snapshot_has_the_number_of_processing_jobs(self, store: Calls) -> None:
        for job_id in "abc":
            store.submit(new_job(job_id))
        store.claim("me")
        store.claim("another")
        assert store.snapshot("c").processing == 2

    def test_a_snapshot_counts_shared_work_ahead_once(self, store: Calls) -> None:
        for job_id, work in (("a", "x"), ("b", "x"), ("c", "y"), ("d", "z"), ("e", "w")):
            store.submit(new_job(job_id, work))
        store.examined("a", 100.0)
        store.examined("c", 50.0)
        store.checkpoint(store.claim("me"), 0, window(0), None)
        # "c" and "d" begin before it; what is left of "a" is ahead of it, too.
        assert store.snapshot("e").ahead == Ahead(jobs=2, seconds=100.0 - WINDOW + 50.0, unknown=1)
        assert store.snapshot("a").ahead == Ahead(jobs=0, seconds=0.0, unknown=0)

    def test_a_job_has_the_queue_position_of_its_work(self, store: Calls) -> None:
        for job_id, work in (("a", "x"), ("b", "y"), ("c", "x")):
            store.submit(new_job(job_id, work))
        assert store.snapshot("c").ahead.jobs == 0

    def test_jobs_are_listed_newest_first_and_in_pages(self, store: Calls) -> None:
        for job_id in "abcd":
            store.submit(new_job(job_id))
        first = store.list_jobs((), None, 3)
        rest = store.list_jobs((), first[-1].number, 3)
        assert [job.id for job in first] == ["d", "c", "b"]
        assert [job.id for job in rest] == ["a"]

    def test_jobs_are_listed_by_their_shown_status(self, store: Calls) -> None:
        for job_id, work in (("a", "x"), ("b", "x"), ("c", "y"), ("d", "z")):
            store.submit(new_job(job_id, work))
        store.claim("me")
        store.cancel("d")
        shown = {
            status: [job.id for job in store.list_jobs({status}, None, 10)]
            for status in (JobStatus.PROCESSING, JobStatus.QUEUED, JobStatus.CANCELLED)
        }
        assert shown == {JobStatus.PROCESSING: ["b", "a"], JobStatus.QUEUED: ["c"], JobStatus.CANCELLED: ["d"]}

    def test_jobs_are_counted_by_status_and_finds_the_oldest_queued(self, store: Calls, clock: Clock) -> None:
        assert store.count().oldest_queued is None
        finish(store, "a")
        for job_id in ("b", "c", "d"):
            store.submit(new_job(job_id))
            clock.move(1)
        assert store.claim("me").id == "b"
        counts = store.count()
        assert counts.by_status == {JobStatus.COMPLETED: 1, JobStatus.PROCESSING: 1, JobStatus.QUEUED: 2}
        assert counts.oldest_queued == clock.now - 2

    def test_the_speed_is_the_median_of_recent_runs(self, store: Calls, clock: Clock) -> None:
        store.submit(new_job("first"))
        assert store.snapshot("first").speed is None
        store.cancel("first")
        for number, seconds in enumerate((10.0, 20.0, 60.0)):
            store.submit(new_job(f"job-{number}"))
            lease = store.claim("me")
            clock.move(seconds)
            store.complete(lease, transcript(duration=60.0))
        store.submit(new_job("from the store", "work of job 0"))
        assert store.snapshot("from the store").speed == 60.0 / 20.0

    def test_the_speed_excludes_the_windows_of_earlier_attempts(self, store: Calls, clock: Clock) -> None:
        store.submit(new_job("a"))
        lease = store.claim("first")
        store.checkpoint(lease, 0, window(0), 60.0)
        clock.move(1000.0)
        lease = store.claim("second")
        clock.move(10.0)
        store.complete(lease, transcript(duration=60.0))
        assert store.snapshot("a").speed == (60.0 - WINDOW) / 10.0


class CommandContract:
    """Cancellation, retries and deletion."""

    @pytest.mark.parametrize("begun", [False, True])
    def test_an_unfinished_job_is_cancelled(self, store: Calls, begun: bool) -> None:
        store.submit(new_job("a"))
        if begun:
            store.claim("me")
        job = store.cancel("a")
        assert (job.status, job.finished_at) == (JobStatus.CANCELLED, START)
        assert store.claim("me") is None

    def test_a_finished_job_is_not_cancelled(self, store: Calls) -> None:
        store.submit(new_job("a"))
        store.complete(store.claim("me"), transcript())
        assert store.cancel("a").status == JobStatus.COMPLETED

    def test_a_retried_failed_job_resumes_from_its_checkpoints(self, store: Calls) -> None:
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

    def test_a_retry_continues_the_count_of_attempts(self, store: Calls) -> None:
        store.submit(new_job("a"))
        store.fail(store.claim("me"), BROKEN)
        store.retry("a")
        assert store.claim("me").attempt == 2

    def test_a_retried_completed_job_runs_again(self, store: Calls) -> None:
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

    def test_a_retry_leaves_other_jobs_their_result(self, store: Calls) -> None:
        finish(store, "a", work="x")
        finish_at_once, _ = store.submit(new_job("b", "x"))
        assert finish_at_once.finished
        store.retry("a")
        assert store.result("b") == transcript()

    def test_a_retry_joins_work_in_progress(self, store: Calls, clock: Clock) -> None:
        finish(store, "a", work="x")
        clock.move(RESULT_TTL)
        store.submit(new_job("b", "x"))
        store.checkpoint(store.claim("me"), 0, window(0), 60.0)
        store.retry("a")
        assert store.checkpoints("x") == [window(0)]
        assert store.get("a").status == JobStatus.PROCESSING

    @pytest.mark.parametrize("status", [JobStatus.QUEUED, JobStatus.PROCESSING, JobStatus.CANCELLED])
    def test_only_a_failed_or_completed_job_is_retried(self, store: Calls, status: JobStatus) -> None:
        store.submit(new_job("a"))
        if status == JobStatus.PROCESSING:
            store.claim("me")
        if status == JobStatus.CANCELLED:
            store.cancel("a")
        assert store.retry("a") == store.get("a")
        assert store.get("a").status == status

    def test_a_finished_job_can_be_deleted(self, store: Calls) -> None:
        finish(store, "a")
        store.delete("a")
        assert store.get("a") is None
        assert store.cached("work of a") is None

    def test_a_deletion_leaves_other_jobs_their_result(self, store: Calls) -> None:
        finish(store, "a", work="x")
        store.submit(new_job("b", "x"))
        store.delete("a")
        assert store.result("b") == transcript()

    def test_an_unfinished_job_is_not_deleted(self, store: Calls) -> None:
        store.submit(new_job("a"))
        store.delete("a")
        assert store.get("a").status == JobStatus.QUEUED

    def test_the_idempotency_key_of_a_deleted_job_is_free(self, store: Calls) -> None:
        finish(store, "a", idempotency_key="key")
        store.delete("a")
        assert store.submit(new_job("b", idempotency_key="key", fingerprint="other"))[1]
