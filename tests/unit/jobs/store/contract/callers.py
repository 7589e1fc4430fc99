"""The callers of jobs: what belongs to one key is apart from what belongs to another."""

from __future__ import annotations

import pytest

from tests.unit.jobs.store.support import Calls, finish, new_job
from transcription.core.errors import IdempotencyConflict
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
