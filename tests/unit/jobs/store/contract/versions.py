"""Transcripts that are replaced, and the versions that are kept of them."""

from __future__ import annotations

from collections.abc import Callable

from tests.unit.jobs.store.support import RESULT_TTL, START, Calls, Clock, finish, new_job, transcript
from transcription.jobs.job import Version
from transcription.jobs.policy import VERSIONS_KEPT


def replace(store: Calls, job_id: str, *texts: str) -> None:
    """Replace the transcript of a job, once for each text."""
    for text in texts:
        assert store.replace_result(store.get(job_id), transcript(text))


def numbers(store: Calls, job_id: str) -> list[int]:
    return [version.number for version in store.versions(job_id)]


class VersionContract:
    """Transcripts that are replaced, and the versions that are kept of them."""

    def test_the_result_of_a_job_can_be_replaced_for_this_job_alone(self, store: Calls) -> None:
        finish(store, "a", work="shared")
        store.submit(new_job("b", work="shared"))
        before = store.get("a")
        assert before.result == store.get("b").result != ""
        assert store.replace_result(before, transcript(" named"))
        assert [store.result(name).text for name in ("a", "b")] == ["named", "words"]
        assert store.cached("shared").text == "words"
        assert store.get("a").result != before.result

    def test_a_replaced_result_that_no_other_job_has_is_deleted(self, store: Calls) -> None:
        finish(store, "a", work="own")
        store.replace_result(store.get("a"), transcript(" named"))
        assert store.cached("own") is None

    def test_a_result_that_was_replaced_since_is_not_replaced(self, store: Calls) -> None:
        finish(store, "a")
        before = store.get("a")
        store.replace_result(before, transcript(" first"))
        assert not store.replace_result(before, transcript(" second"))
        assert store.result("a").text == "first"

    def test_an_unfinished_job_has_no_result_to_replace(self, store: Calls) -> None:
        store.submit(new_job("a"))
        assert not store.replace_result(store.get("a"), transcript())

    def test_a_replaced_result_expires_with_its_job(self, store: Calls, clock: Clock) -> None:
        finish(store, "a")
        clock.move(RESULT_TTL - 1)
        store.replace_result(store.get("a"), transcript(" named"))
        store.expire()
        assert store.result("a").text == "named"
        clock.move(1)
        store.expire()
        store.expire()
        assert (store.get("a"), store.cached("a")) == (None, None)

    def test_a_retried_job_loses_a_replaced_result(self, store: Calls) -> None:
        finish(store, "a")
        store.replace_result(store.get("a"), transcript(" named"))
        store.retry("a")
        assert store.get("a").result == ""
        assert store.result("a") is None

    def test_a_completed_job_has_one_version(self, store: Calls, clock: Clock) -> None:
        clock.move(5)
        finish(store, "a")
        assert store.versions("a") == [Version(0, START + 5)]
        assert store.former_result("a", 0) is None

    def test_a_job_that_is_not_completed_has_none(self, store: Calls) -> None:
        store.submit(new_job("a"))
        assert store.versions("a") == store.versions("nobody") == []

    def test_what_was_replaced_is_a_version(self, store: Calls, clock: Clock) -> None:
        finish(store, "a")
        for text in (" first", " second"):
            clock.move(10)
            replace(store, "a", text)
        assert store.versions("a") == [Version(0, START), Version(1, START + 10), Version(2, START + 20)]
        assert [store.former_result("a", number).text for number in (0, 1)] == ["words", "first"]
        assert store.former_result("a", 2) is None

    def test_the_result_of_a_replacement_is_that_of_the_job(self, store: Calls) -> None:
        finish(store, "a")
        assert store.replace_result(store.get("a"), transcript(" named")) == store.get("a").result

    def test_the_first_version_and_the_latest_ones_are_kept(self, store: Calls, clock: Clock) -> None:
        finish(store, "a")
        for number in range(1, VERSIONS_KEPT + 4):
            clock.move(1)
            replace(store, "a", f" {number}")
        present = VERSIONS_KEPT + 3
        assert numbers(store, "a") == [0, *range(present - VERSIONS_KEPT, present + 1)]
        assert store.former_result("a", 0) == transcript()
        assert store.former_result("a", 1) is None
        assert [version.saved_at - START for version in store.versions("a")][1:3] == [3, 4]

    def test_versions_of_other_jobs_are_not_touched(self, store: Calls) -> None:
        finish(store, "a", work="shared")
        store.submit(new_job("b", work="shared"))
        replace(store, "a", " mine")
        replace(store, "b", " other")
        store.delete("a")
        assert (numbers(store, "a"), numbers(store, "b")) == ([], [0, 1])
        assert store.former_result("a", 0) is None
        assert store.former_result("b", 0) == transcript()

    def test_a_retried_job_has_no_former_versions(self, store: Calls) -> None:
        finish(store, "a")
        replace(store, "a", " named")
        store.retry("a")
        assert store.versions("a") == []
        store.complete(store.claim("me"), transcript(" again"))
        assert numbers(store, "a") == [0]
        assert store.former_result("a", 0) is None

    def test_versions_expire_with_their_job(self, store: Calls, clock: Clock) -> None:
        finish(store, "a")
        replace(store, "a", " named")
        clock.move(RESULT_TTL)
        store.expire()
        assert store.former_result("a", 0) is None

    def test_a_version_that_cannot_be_read_leaves_the_others(
        self, store: Calls, spoil_version: Callable[[str, int], None]
    ) -> None:
        finish(store, "a")
        replace(store, "a", " first", " second")
        spoil_version("a", 1)
        assert store.former_result("a", 1) is None
        assert store.former_result("a", 0) == transcript()
        assert store.result("a").text == "second"
