"""Stored values that cannot be read: they fail their own job, and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from tests.unit.jobs.store.support import (
    BROKEN,
    DELIVERY_LEASE,
    HOOK,
    LEASE,
    REQUEST,
    RESULT_TTL,
    Calls,
    Clock,
    finish,
    new_job,
    transcript,
    window,
)
from transcription.jobs.access import EVERY_JOB, Access
from transcription.jobs.job import NO_CALLER, DeliveryState, Job, JobStatus
from transcription.jobs.store.rows import REQUEST as CODEC

Poison = Callable[[str, str, Any], None]

COLUMNS = (
    "status",
    "request",
    "recording",
    "response_format",
    "created_at",
    "started_at",
    "finished_at",
    "expires_at",
    "not_before",
    "lease_until",
    "owner",
    "begun_at",
    "begun_from",
    "attempt",
    "failures",
    "seconds_done",
    "seconds_total",
    "failure",
    "result",
    "callback_url",
    "delivery_state",
    "delivery_attempts",
    "delivery_at",
    "delivery_detail",
    "request_id",
    "layout",
    "work",
    "idempotency_key",
    "fingerprint",
    "caller",
)
VALUES: dict[str, Any] = {
    "text": "paused",
    "no JSON": '[{"new": [',
    "null": "null",
    "deep": "[" * 5000,
    "digits": "9" * 5000,
    "nan": "nan",
    "infinite": "inf",
    "negative": "-5",
    "surrogate": '[{"name": "\\ud800"}]',
    "bytes": b"\xff\xfe\x00",
    "empty": "",
    "missing": None,
}
MANY = 5000


STATES = ("queued", "processing", "completed", "failed")


def damages(state: str) -> dict[str, tuple[str, str]]:
    """Column and kind of value, by the id of a job that is damaged so. Every third: each in some state."""
    every = [(column, kind) for column in COLUMNS for kind in VALUES]
    return {f"{column}-{kind}".replace(" ", "-"): (column, kind) for column, kind in every[STATES.index(state) :: 3]}


def bring(store: Calls, job_id: str, state: str) -> None:
    """A job in the state, with a callback; of an unfinished one the work is also wanted for `twin-ID`."""
    store.submit(new_job(job_id, f"work-{job_id}", callback_url=HOOK, idempotency_key=job_id))
    if state in ("queued", "processing"):
        store.submit(new_job(f"twin-{job_id}", f"work-{job_id}"))
    if state != "queued":
        lease = store.claim("gone", job_id)
        if state == "completed":
            store.complete(lease, transcript())
        elif state == "failed":
            store.fail(lease, BROKEN)


def use_everything(store: Calls) -> list[Job]:
    """Every query of clients, on every job; the jobs."""
    for statuses in JobStatus:
        store.list_jobs((statuses,), None, MANY)
    store.count()
    store.recordings_in_use()
    jobs = store.list_jobs((), None, MANY)
    for job in jobs:
        store.snapshot(job.id)
        store.result(job.id)
    return jobs


def work_until_nothing_is_due(store: Calls) -> None:
    while lease := store.claim("me"):
        store.complete(lease, transcript())
    while job := store.claim_delivery(DELIVERY_LEASE):
        store.settle_delivery(job.id, replace(job.delivery, state=DeliveryState.DELIVERED, next_at=None))


class UnreadableContract:
    """Jobs, results and windows of which a part cannot be read."""

    @pytest.mark.parametrize("state", STATES)
    def test_damaged_columns_disturb_no_other_job(self, store: Calls, poison: Poison, clock: Clock, state: str) -> None:
        damaged = damages(state)
        for job_id, (column, kind) in damaged.items():
            bring(store, job_id, state)
            poison(job_id, column, VALUES[kind])
        store.submit(new_job("good"))
        clock.move(LEASE + 1)  # the process that worked on them is gone
        assert len(use_everything(store)) >= len(damaged) + 1
        work_until_nothing_is_due(store)
        assert store.get("good").status is JobStatus.COMPLETED
        store.fail_unreadable()
        jobs = use_everything(store)
        assert [job.id for job in jobs if not job.finished] == []
        assert {job.failure.code for job in jobs if not job.readable} == {"unreadable_job"}
        assert {job.id for job in jobs} >= damaged.keys()
        for job in jobs:
            if job.id.startswith("status"):
                store.retry(job.id)
            store.cancel(job.id)
            store.delete(job.id)
        assert store.list_jobs((), None, MANY) == []

    @pytest.mark.parametrize("column", ["request", "recording", "status", "created_at", "layout", "response_format"])
    def test_an_unreadable_job_is_shown_as_failed_with_the_reason(
        self, store: Calls, poison: Poison, column: str
    ) -> None:
        store.submit(new_job("bad"))
        poison("bad", column, '[{"of the future')
        (shown,) = store.list_jobs((), None, 10)
        assert (shown.id, shown.status, shown.readable) == ("bad", JobStatus.FAILED, False)
        assert shown.failure.code == "unreadable_job"
        assert shown.failure.detail.startswith(f"{column}: ")
        assert store.get("bad") == shown
        assert store.snapshot("bad").job == shown

    @pytest.mark.parametrize("state", STATES)
    def test_damaged_columns_do_not_disturb_the_list_of_a_caller(
        self, store: Calls, poison: Poison, state: str
    ) -> None:
        store.submit(new_job("first", caller="ada"))
        damaged = damages(state)
        for job_id, (column, kind) in damaged.items():
            store.submit(new_job(job_id, f"work-{job_id}", caller="ada"))
            poison(job_id, column, VALUES[kind])
        store.submit(new_job("last", caller="ada"))
        for statuses in ((), *((status,) for status in JobStatus)):
            listed = [job.id for job in store.list_jobs(statuses, None, MANY, "ada")]
            if not statuses or statuses == (JobStatus.QUEUED,):
                assert {"first", "last"} <= set(listed)

    @pytest.mark.parametrize("damaged", [b"\xff\xfe\x00", None])
    def test_a_job_whose_caller_cannot_be_read_belongs_to_no_caller(
        self, store: Calls, poison: Poison, damaged: bytes | None
    ) -> None:
        store.submit(new_job("bad", caller="ada"))
        poison("bad", "caller", damaged)
        for name in ("ada", "eve", NO_CALLER):
            assert not Access(name).allows(store.get("bad"))
        assert EVERY_JOB.allows(store.get("bad"))

    @pytest.mark.parametrize("lost", [None, "another"])
    @pytest.mark.parametrize("state", ["queued", "processing"])
    def test_an_ended_job_that_lost_its_request_key_is_ahead_of_no_other(
        self, store: Calls, poison: Poison, state: str, lost: str | None
    ) -> None:
        store.submit(new_job("bad"))
        if state == "processing":
            store.claim("gone", "bad")
        store.submit(new_job("good"))
        poison("bad", "work", lost)
        store.fail_unreadable()
        store.cancel("bad")  # if it has another key, it can be read, and has not failed
        assert store.snapshot("good").ahead.jobs == 0

    def test_a_job_that_lost_its_request_key_leaves_its_place_to_the_next_with_that_key(
        self, store: Calls, poison: Poison
    ) -> None:
        for job_id, work in (("bad", "same"), ("between", "other"), ("twin", "same")):
            store.submit(new_job(job_id, work))
        poison("bad", "work", None)
        store.fail_unreadable()
        store.cancel("bad")  # SQLite requires a key: it has another one
        assert [store.snapshot(job_id).ahead.jobs for job_id in ("between", "twin")] == [0, 1]
        assert [store.claim("me").id for _ in range(2)] == ["between", "twin"]

    def test_an_unreadable_job_fails_when_it_is_claimed(self, store: Calls, poison: Poison, clock: Clock) -> None:
        store.submit(new_job("bad", callback_url=HOOK))
        store.submit(new_job("good"))
        poison("bad", "request", "[{")
        assert store.claim("me").id == "good"
        assert store.count().by_status == {JobStatus.FAILED: 1, JobStatus.PROCESSING: 1}
        assert store.claim_delivery(DELIVERY_LEASE).id == "bad"
        clock.move(RESULT_TTL + 2 * 86_400)
        store.expire()
        assert store.get("bad") is None

    def test_a_claim_by_id_fails_an_unreadable_job(self, store: Calls, poison: Poison) -> None:
        store.submit(new_job("bad"))
        poison("bad", "request", "[{")
        assert store.claim("me", "bad") is None
        assert store.count().by_status == {JobStatus.FAILED: 1}

    def test_a_status_of_another_version_fails_and_expires(self, store: Calls, poison: Poison, clock: Clock) -> None:
        store.submit(new_job("bad"))
        poison("bad", "status", "paused")
        store.fail_unreadable()
        assert store.get("bad").failure.code == "unreadable_job"
        clock.move(RESULT_TTL)
        store.expire()
        assert store.get("bad") is None

    def test_an_option_of_a_newer_version_is_not_ignored(self, store: Calls, poison: Poison) -> None:
        store.submit(new_job("bad"))
        packed = CODEC.pack(REQUEST)
        poison("bad", "request", packed.replace('"multilingual"', '"newer_option":2,"multilingual"'))
        assert store.get("bad").failure.detail == "request: newer_option Unexpected keyword argument"

    def test_an_unreadable_transcript_fails_its_job(self, store: Calls, spoil_results: Callable[[bytes], None]) -> None:
        for spoilt in (b"", b"no zlib", b"x\x9c truncated", None):
            finish(store, "a", work="same")
            spoil_results(spoilt)
            assert store.result("a") is None
            assert store.get("a").status is JobStatus.FAILED
            assert store.get("a").failure.code == "unreadable_job"
            assert store.cached("same") is None
            store.retry("a")
            store.complete(store.claim("me"), transcript())
            assert store.result("a") == transcript()
            store.delete("a")

    def test_an_unreadable_cached_transcript_completes_no_job(
        self, store: Calls, spoil_results: Callable[[bytes], None]
    ) -> None:
        store.remember("same", transcript())
        spoil_results(b"x\x9c truncated")
        job, _ = store.submit(new_job("a", "same"))
        assert job.status is JobStatus.QUEUED
        assert store.cached("same") is None

    def test_windows_are_read_up_to_the_first_unreadable_one(
        self, store: Calls, spoil_window: Callable[[int], None]
    ) -> None:
        store.submit(new_job("a", "same"))
        lease = store.claim("me")
        for position in range(3):
            store.checkpoint(lease, position, window(position), 90.0)
        spoil_window(1)
        assert list(store.checkpoints("same")) == [window(0)]
        assert list(store.checkpoints("same", 1)) == []
        store.drop_checkpoints(lease, 1)
        store.checkpoint(lease, 1, window(1, " again"), 90.0)
        assert list(store.checkpoints("same")) == [window(0), window(1, " again")]
