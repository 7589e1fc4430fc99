"""The callers of jobs: what belongs to one key is apart from what belongs to another."""

from __future__ import annotations

import pytest

from tests.unit.jobs.store.support import BROKEN, LEASE, Calls, Clock, finish, new_job, statuses, transcript
from transcription.core.errors import IdempotencyConflict, TooManyJobs
from transcription.jobs.job import NO_CALLER, JobStatus


class CallerContract:
    """Jobs of several callers."""

    def test_a_job_has_the_caller_that_submitted_it(self, store: Calls) -> None:
        store.submit(new_job("a", caller="ada"))
        store.submit(new_job("b"))
        assert (store.get("a").caller, store.get("b").caller) == ("ada", NO_CALLER)

    def test_idempotency_keys_of_two_callers_are_apart(self, store: Calls) -> None:
        store.submit(new_job("a", caller="ada", idempotency_key="key", fingerprint="one"))
        _, is_new = store.submit(new_job("b", caller="bob", idempotency_key="key", fingerprint="two"))
        assert is_new
        assert store.submit(new_job("c", caller="bob", idempotency_key="key", fingerprint="two"))[0].id == "b"
        with pytest.raises(IdempotencyConflict):
            store.submit(new_job("d", caller="ada", idempotency_key="key", fingerprint="two"))

    def test_a_name_and_a_key_that_look_like_another_pair_are_apart(self, store: Calls) -> None:
        store.submit(new_job("a", caller="ada", idempotency_key="b", fingerprint="one"))
        assert store.submit(new_job("b", caller="adab", idempotency_key="", fingerprint="two"))[1]
        assert store.submit(new_job("c", idempotency_key="adab", fingerprint="three"))[1]

    def test_the_idempotency_key_of_a_deleted_job_is_free_for_its_caller(self, store: Calls) -> None:
        finish(store, "a", caller="ada", idempotency_key="key")
        store.delete("a")
        assert store.submit(new_job("b", caller="ada", idempotency_key="key", fingerprint="other"))[1]

    def test_a_list_of_one_caller_has_its_jobs_only(self, store: Calls) -> None:
        for number, caller in enumerate(("ada", "bob", "ada", NO_CALLER)):
            store.submit(new_job(str(number), caller=caller))
        assert [job.id for job in store.list_jobs((), None, 10, "ada")] == ["2", "0"]
        assert [job.id for job in store.list_jobs((), None, 1, "ada")] == ["2"]
        assert [job.id for job in store.list_jobs((), store.get("2").number, 10, "ada")] == ["0"]
        assert store.list_jobs((), None, 10, "nobody") == []
        assert len(store.list_jobs((), None, 10)) == 4

    def test_a_list_of_one_caller_can_be_filtered_by_the_status_that_is_shown(self, store: Calls) -> None:
        finish(store, "done", caller="ada")
        for job_id, work in (("leads", "x"), ("follows", "x"), ("waits", "y")):
            store.submit(new_job(job_id, work, caller="ada"))
        store.submit(new_job("other", caller="bob"))
        store.claim("me", "leads")

        def listed(*statuses: JobStatus) -> list[str]:
            return [job.id for job in store.list_jobs(statuses, None, 10, "ada")]

        assert listed(JobStatus.PROCESSING) == ["follows", "leads"]
        assert listed(JobStatus.QUEUED) == ["waits"]
        assert listed(JobStatus.COMPLETED, JobStatus.QUEUED) == ["waits", "done"]

    def test_a_deleted_job_leaves_the_list_of_its_caller(self, store: Calls) -> None:
        finish(store, "a", caller="ada")
        store.delete("a")
        assert store.list_jobs((), None, 10, "ada") == []


def submit_each(store: Calls, *jobs: str) -> None:
    """Submit jobs, such as "ada 1": the caller and what tells its jobs apart."""
    for job_id in jobs:
        store.submit(new_job(job_id, caller=job_id.split()[0]))


class TurnContract:
    """The order in which the jobs of several callers begin."""

    def test_one_job_does_not_wait_for_sixty_of_another_caller(self, store: Calls) -> None:
        submit_each(store, *(f"ada {number}" for number in range(60)), "bob 0")
        assert [store.claim("me").id for _ in range(3)] == ["ada 0", "bob 0", "ada 1"]

    def test_the_place_of_a_job_follows_the_turns(self, store: Calls) -> None:
        submit_each(store, *(f"ada {number}" for number in range(60)), "bob 0")
        jobs = ("ada 0", "bob 0", "ada 1", "ada 59")
        assert [store.snapshot(job_id).ahead.jobs for job_id in jobs] == [0, 1, 2, 60]
        store.claim("me")
        assert [store.snapshot(job_id).ahead.jobs for job_id in jobs] == [0, 0, 1, 59]

    def test_callers_take_turns_though_one_job_runs_at_a_time(self, store: Calls) -> None:
        submit_each(store, "ada 1", "ada 2", "ada 3", "bob 1", "eve 1", "bob 2")
        begun = []
        while lease := store.claim("me"):
            begun.append(lease.id)
            store.complete(lease, transcript())
        assert begun == ["ada 1", "bob 1", "eve 1", "ada 2", "bob 2", "ada 3"]

    def test_the_caller_with_fewer_running_jobs_is_served_first(self, store: Calls) -> None:
        submit_each(store, "ada 1", "ada 2", "bob 1", "bob 2", "bob 3")
        ada, bob = store.claim("me"), store.claim("me")
        assert [lease.id for lease in (ada, bob)] == ["ada 1", "bob 1"]
        store.complete(bob, transcript())
        assert store.claim("me").id == "bob 2"
        store.complete(ada, transcript())
        assert store.claim("me").id == "ada 2"

    def test_a_caller_that_paused_is_served_next(self, store: Calls) -> None:
        submit_each(store, "ada 1", "ada 2", "bob 1")
        for _ in range(2):
            store.complete(store.claim("me"), transcript())
        submit_each(store, "bob 2")
        begun = [store.claim("me").id for _ in range(2)]
        assert begun == ["ada 2", "bob 2"]  # bob was served after ada

    def test_a_caller_whose_jobs_are_not_due_holds_up_no_other(self, store: Calls, clock: Clock) -> None:
        submit_each(store, "ada 1", "bob 1", "bob 2")
        store.postpone(store.claim("me"), 30.0)
        assert [store.claim("me").id for _ in range(2)] == ["bob 1", "bob 2"]
        assert store.claim("me") is None
        clock.move(30.0)
        assert store.claim("me").id == "ada 1"

    def test_a_lost_job_is_taken_over_before_any_other_begins(self, store: Calls, clock: Clock) -> None:
        submit_each(store, "bob 1", "ada 1", "ada 2")
        for _ in range(2):
            store.claim("first")
        clock.move(LEASE)
        assert [store.claim("second").id for _ in range(3)] == ["bob 1", "ada 1", "ada 2"]

    def test_a_retried_job_waits_for_its_turn(self, store: Calls) -> None:
        submit_each(store, "ada 1", "bob 1")
        store.fail(store.claim("me"), BROKEN)
        store.retry("ada 1")
        assert store.claim("me").id == "bob 1"

    def test_jobs_without_a_caller_share_one_turn(self, store: Calls) -> None:
        for job_id in "ab":
            store.submit(new_job(job_id))
        submit_each(store, "ada 1")
        assert [store.claim("me").id for _ in range(3)] == ["a", "ada 1", "b"]


class LimitContract:
    """The number of unfinished jobs of a caller."""

    def test_a_caller_has_a_limited_number_of_unfinished_jobs(self, store: Calls) -> None:
        submit_each(store, "ada 1", "ada 2")
        with pytest.raises(TooManyJobs, match=r"2 unfinished jobs.*MAX_OPEN_JOBS"):
            store.submit(new_job("ada 3", caller="ada"), 2)
        assert store.get("ada 3") is None
        assert store.submit(new_job("bob 1", caller="bob"), 2)[1]

    def test_the_limit_can_be_asked_for_before_a_submission(self, store: Calls) -> None:
        store.submit(new_job("a", caller="ada", idempotency_key="key"))
        store.check_open("ada", 2)
        with pytest.raises(TooManyJobs, match="1 unfinished jobs"):
            store.check_open("ada", 1)
        store.check_open("ada", None)
        store.check_open("bob", 1)
        store.cancel("a")
        store.check_open("ada", 1)

    def test_a_repeated_submission_is_known_beforehand(self, store: Calls) -> None:
        store.submit(new_job("a", caller="ada", idempotency_key="key"))
        store.submit(new_job("b", caller="bob"))
        store.check_open("ada", 1, "key")
        for caller, key in (("ada", "other"), ("bob", "key")):
            with pytest.raises(TooManyJobs):
                store.check_open(caller, 1, key)

    def test_a_job_counts_until_it_ends(self, store: Calls) -> None:
        submit_each(store, "ada 1")
        lease = store.claim("me")
        with pytest.raises(TooManyJobs):
            store.submit(new_job("ada 2", caller="ada"), 1)
        store.complete(lease, transcript())
        assert store.submit(new_job("ada 2", caller="ada"), 1)[1]
        store.cancel("ada 2")
        assert store.submit(new_job("ada 3", caller="ada"), 1)[1]

    def test_a_repeated_submission_does_not_count_twice(self, store: Calls) -> None:
        first, _ = store.submit(new_job("a", caller="ada", idempotency_key="key"), 1)
        assert store.submit(new_job("b", caller="ada", idempotency_key="key"), 1) == (first, False)

    def test_a_job_that_is_completed_at_once_does_not_count(self, store: Calls) -> None:
        finish(store, "a", work="x", caller="ada")
        submit_each(store, "ada 1")
        assert store.submit(new_job("b", "x", caller="ada"), 1)[0].status == JobStatus.COMPLETED

    def test_a_retry_counts_like_a_submission(self, store: Calls) -> None:
        submit_each(store, "ada 1")
        store.fail(store.claim("me"), BROKEN)
        submit_each(store, "ada 2")
        with pytest.raises(TooManyJobs):
            store.retry("ada 1", 1)
        assert statuses(store, ["ada 1", "ada 2"]) == [JobStatus.FAILED, JobStatus.QUEUED]
        assert store.retry("ada 1", 2).status == JobStatus.QUEUED
