"""What every store of jobs does.

A store's own test file inherits `StoreContract` and `EndsContract`, and has two fixtures: `clock`, and `store`, which
is empty and goes by that clock.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from formats.subtitles.layout import SubtitleLayout
from transcription.core.audio import SAMPLE_RATE, Span, Timeline
from transcription.core.errors import Failure, IdempotencyConflict
from transcription.core.options import DecodeOptions, TranscriptionRequest, VadOptions
from transcription.core.transcript import PlacedResult, Segment, Transcript, WindowResult
from transcription.jobs.job import Ahead, Delivery, Job, JobStatus, KeptLayout, NewJob, Recording
from transcription.jobs.store.base import JobStore, LeaseLost

START = 1_800_000_000.0  # seconds since the epoch
RESULT_TTL = 1000.0  # seconds
LEASE = 10.0  # seconds without a word after which an owner is taken for gone
WINDOW = 30.0  # seconds of audio
HOOK = "https://example.org/hook"
REQUEST = TranscriptionRequest(DecodeOptions("demo"), VadOptions())
BROKEN = Failure("model_unavailable", "The runner is gone.", "exit code 9")


class Clock:
    """Stands still, unless a test moves it."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> float:
        return self.now

    def move(self, seconds: float) -> None:
        self.now += seconds


class Calls:
    """A store whose methods are called without await."""

    def __init__(self, store: JobStore) -> None:
        self._store = store
        self._runner = asyncio.Runner()

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method = getattr(self._store, name)
        return lambda *args, **named: self._runner.run(method(*args, **named))

    def close(self) -> None:
        self._runner.run(self._store.close())
        self._runner.close()


def new_job(job_id: str, work: str | None = None, **fields: Any) -> NewJob:
    """work: the job's own unless given."""
    plain = NewJob(
        job_id, work or f"work of {job_id}", REQUEST, Recording(f"{job_id}.bin", "0" * 64, 1), "json", "print"
    )
    return replace(plain, **fields)


def window(position: int, text: str = " word") -> PlacedResult:
    """The result of the window at `position`, WINDOW seconds long."""
    span = Span(int(position * WINDOW * SAMPLE_RATE), int(WINDOW * SAMPLE_RATE))
    return PlacedResult(Timeline((span,)), WindowResult("en", 1.0, (said(text),)), (span,))


def said(text: str) -> Segment:
    return Segment(0.0, 1.0, text, (1, 2), -0.2, 1.2, 0.01, 0.0)


def transcript(text: str = " words", duration: float = 60.0) -> Transcript:
    return Transcript("en", 1.0, duration, (said(text),), "demo")


class StoreContract:
    """One behaviour a test, through the interface alone."""

    # Acceptance

    def test_the_layout_of_a_submission_is_kept(self, store: Calls) -> None:
        kept = KeptLayout(SubtitleLayout(max_line_width=42, min_gap=0.083, highlight_words=True), shows_words=True)
        store.submit(new_job("a", layout=kept))
        assert store.get("a").layout == kept

    def test_an_accepted_job_is_queued_as_it_was_sent(self, store: Calls) -> None:
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

    def test_the_same_idempotency_key_gives_the_same_job(self, store: Calls) -> None:
        first, _ = store.submit(new_job("a", idempotency_key="key"))
        again, is_new = store.submit(new_job("b", idempotency_key="key"))
        assert (again, is_new) == (first, False)
        assert store.get("b") is None

    def test_an_idempotency_key_of_another_submission_is_refused(self, store: Calls) -> None:
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

    def test_an_expired_result_completes_nothing(self, store: Calls, clock: Clock) -> None:
        store.remember("same", transcript())
        clock.move(RESULT_TTL)
        job, _ = store.submit(new_job("a", "same"))
        assert job.status == JobStatus.QUEUED
        assert store.cached("same") is None

    # The queue

    def test_the_oldest_job_is_begun_first(self, store: Calls) -> None:
        for job_id in ("b", "a", "c"):
            store.submit(new_job(job_id))
        assert [store.claim("me").id for _ in range(3)] == ["b", "a", "c"]
        assert store.claim("me") is None

    def test_one_job_may_be_asked_for_and_is_begun_if_it_is_due(self, store: Calls) -> None:
        for job_id, work in (("a", "x"), ("b", "y"), ("c", "y")):
            store.submit(new_job(job_id, work))
        assert store.claim("me", "c") is None  # an older job does the same work
        assert store.claim("me", "b").id == "b"
        assert store.claim("other", "b") is None
        assert store.claim("me", "unknown") is None
        assert store.claim("me").id == "a"

    def test_how_many_jobs_are_worked_on_is_told_with_what_is_ahead(self, store: Calls) -> None:
        for job_id in "abc":
            store.submit(new_job(job_id))
        store.claim("me")
        store.claim("another")
        assert store.snapshot("c").processing == 2

    def test_a_claimed_job_is_processing_in_its_first_attempt(self, store: Calls, clock: Clock) -> None:
        store.submit(new_job("a"))
        clock.move(5)
        lease = store.claim("me")
        assert lease == store.get("a")
        assert (lease.status, lease.attempt, lease.failures) == (JobStatus.PROCESSING, 1, 0)
        assert lease.started_at == START + 5

    def test_what_is_ahead_of_a_job_counts_shared_work_once(self, store: Calls) -> None:
        for job_id, work in (("a", "x"), ("b", "x"), ("c", "y"), ("d", "z"), ("e", "w")):
            store.submit(new_job(job_id, work))
        store.examined("a", 100.0)
        store.examined("c", 50.0)
        store.checkpoint(store.claim("me"), 0, window(0), None)
        assert store.snapshot("e").ahead == Ahead(jobs=3, seconds=100.0 - WINDOW + 50.0, unknown=1)
        assert store.snapshot("a").ahead == Ahead(jobs=0, seconds=0.0, unknown=0)

    def test_a_job_stands_in_the_queue_where_its_work_stands(self, store: Calls) -> None:
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

    def test_jobs_are_listed_by_status_as_they_are_shown(self, store: Calls) -> None:
        for job_id, work in (("a", "x"), ("b", "x"), ("c", "y"), ("d", "z")):
            store.submit(new_job(job_id, work))
        store.claim("me")
        store.cancel("d")
        shown = {
            status: [job.id for job in store.list_jobs({status}, None, 10)]
            for status in (JobStatus.PROCESSING, JobStatus.QUEUED, JobStatus.CANCELLED)
        }
        assert shown == {JobStatus.PROCESSING: ["b", "a"], JobStatus.QUEUED: ["c"], JobStatus.CANCELLED: ["d"]}

    # Leases

    def test_a_job_whose_owner_is_heard_of_is_left_to_it(self, store: Calls, clock: Clock) -> None:
        store.submit(new_job("a"))
        lease = store.claim("first")
        for _ in range(5):
            clock.move(LEASE - 1)
            store.renew(lease)
            assert store.claim("second") is None

    def test_a_job_whose_owner_is_gone_is_taken_over_and_counts_a_failure(self, store: Calls, clock: Clock) -> None:
        store.submit(new_job("a"))
        store.claim("first")
        clock.move(LEASE)
        taken = store.claim("second")
        assert (taken.id, taken.attempt, taken.failures) == ("a", 2, 1)

    def test_an_owner_does_not_take_its_own_job_twice(self, store: Calls, clock: Clock) -> None:
        store.submit(new_job("a"))
        lease = store.claim("me")
        clock.move(2 * LEASE)
        assert store.claim("me") is None
        store.renew(lease)

    @pytest.mark.parametrize("jump", [-1e6, -LEASE - 1, LEASE, 1e6])
    def test_a_clock_that_jumps_strands_no_job(self, store: Calls, clock: Clock, jump: float) -> None:
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

    # Progress

    def test_a_checkpoint_is_progress(self, store: Calls, clock: Clock) -> None:
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

    def test_a_window_that_comes_again_stays_as_it_was_first_told(self, store: Calls) -> None:
        store.submit(new_job("a"))
        lease = store.claim("me")
        store.checkpoint(lease, 0, window(0, " first"), None)
        store.checkpoint(lease, 0, window(0, " second"), None)
        assert store.checkpoints("work of a") == [window(0, " first")]

    def test_figures_that_json_cannot_write_survive(self, store: Calls) -> None:
        store.submit(new_job("a"))
        odd = replace(said(" odd"), avg_logprob=float("-inf"))
        placed = replace(window(0), result=WindowResult("en", 1.0, (odd,)))
        store.checkpoint(store.claim("me"), 0, placed, None)
        assert store.checkpoints("work of a") == [placed]

    def test_the_length_of_a_recording_is_known_before_anybody_begins(self, store: Calls) -> None:
        store.submit(new_job("a"))
        store.examined("a", 12.5)
        store.examined("a", None)
        assert store.get("a").seconds_total == 12.5

    def test_a_postponed_job_waits_and_has_failed_once_more(self, store: Calls, clock: Clock) -> None:
        store.submit(new_job("a"))
        store.postpone(store.claim("me"), 30.0)
        assert (store.get("a").status, store.get("a").failures) == (JobStatus.QUEUED, 1)
        assert store.claim("me") is None
        clock.move(30.0)
        assert store.claim("me").attempt == 2

    def test_a_postponed_job_is_not_due_before_it_was_postponed(self, store: Calls, clock: Clock) -> None:
        store.submit(new_job("a"))
        store.postpone(store.claim("me"), 0.0)
        clock.move(-1.0)
        assert store.claim("me") is None
        clock.move(1.0)
        assert store.claim("me").id == "a"

    def test_a_clock_set_back_does_not_prolong_a_pause_for_ever(self, store: Calls, clock: Clock) -> None:
        store.submit(new_job("a"))
        store.postpone(store.claim("me"), 30.0)
        clock.move(-1e6)
        assert store.claim("me").id == "a"

    def test_a_released_job_goes_on_at_once_and_without_blame(self, store: Calls) -> None:
        store.submit(new_job("a"))
        lease = store.claim("first")
        store.checkpoint(lease, 0, window(0), 60.0)
        store.release(lease)
        again = store.claim("second")
        assert (again.attempt, again.failures, again.seconds_done) == (2, 0, WINDOW)

    # Ends

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

    def test_a_failed_job_says_why(self, store: Calls) -> None:
        store.submit(new_job("a"))
        store.fail(store.claim("me"), BROKEN)
        assert (store.get("a").status, store.get("a").failure) == (JobStatus.FAILED, BROKEN)
        assert store.result("a") is None

    def test_a_queued_job_may_be_refused_and_no_other(self, store: Calls) -> None:
        store.submit(new_job("a"))
        store.submit(new_job("b"))
        store.claim("me")
        assert not store.refuse("a", BROKEN)
        assert store.refuse("b", BROKEN)
        assert [store.get(job_id).status for job_id in "ab"] == [JobStatus.PROCESSING, JobStatus.FAILED]

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

    def test_the_speed_is_the_median_of_jobs_that_ran(self, store: Calls, clock: Clock) -> None:
        store.submit(new_job("first"))
        assert store.snapshot("first").speed is None
        store.cancel("first")
        for number, seconds in enumerate((10.0, 20.0, 60.0)):
            store.submit(new_job(f"job {number}"))
            lease = store.claim("me")
            clock.move(seconds)
            store.complete(lease, transcript(duration=60.0))
        store.submit(new_job("from the store", "work of job 0"))
        assert store.snapshot("from the store").speed == 60.0 / 20.0

    def test_the_speed_leaves_out_what_an_earlier_attempt_did(self, store: Calls, clock: Clock) -> None:
        store.submit(new_job("a"))
        lease = store.claim("first")
        store.checkpoint(lease, 0, window(0), 60.0)
        clock.move(1000.0)
        lease = store.claim("second")
        clock.move(10.0)
        store.complete(lease, transcript(duration=60.0))
        assert store.snapshot("a").speed == (60.0 - WINDOW) / 10.0
