"""Deliveries of webhooks."""

from __future__ import annotations

from dataclasses import replace

from tests.unit.jobs.store.support import BROKEN, DELIVERY_LEASE, HOOK, Calls, Clock, finish, new_job
from transcription.jobs.job import DeliveryState, JobStatus
from transcription.jobs.store.base import Busy


class DeliveryContract:
    """Deliveries of webhooks."""

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

    def test_an_interrupted_delivery_is_due_again(self, store: Calls, clock: Clock) -> None:
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

    def test_a_failed_delivery_is_due_after_its_delay(self, store: Calls, clock: Clock) -> None:
        finish(store, "a", callback_url=HOOK)
        tried = store.claim_delivery(DELIVERY_LEASE).delivery
        store.settle_delivery("a", replace(tried, next_at=clock.now + 100.0, detail="503"))
        clock.move(99.0)
        assert store.claim_delivery(DELIVERY_LEASE) is None
        clock.move(1.0)
        assert store.claim_delivery(DELIVERY_LEASE).delivery.attempts == 2

    def test_a_late_outcome_does_not_overwrite_a_later_attempt(self, store: Calls, clock: Clock) -> None:
        finish(store, "a", callback_url=HOOK)
        late = store.claim_delivery(DELIVERY_LEASE).delivery
        clock.move(DELIVERY_LEASE)
        later = store.claim_delivery(DELIVERY_LEASE).delivery
        store.settle_delivery("a", replace(late, state=DeliveryState.GIVEN_UP, next_at=None))
        assert store.get("a").delivery == later

    def test_a_clock_set_back_does_not_delay_a_delivery(self, store: Calls, clock: Clock) -> None:
        finish(store, "a", callback_url=HOOK)
        clock.move(-1e6)
        assert store.claim_delivery(DELIVERY_LEASE).id == "a"

    def test_the_deliveries_of_a_busy_caller_wait(self, store: Calls) -> None:
        for number in range(150):  # more than a store reads at once
            finish(store, f"ada {number}", callback_url=HOOK, caller="ada")
        finish(store, "bob", callback_url=HOOK, caller="bob")
        finish(store, "no one", callback_url=HOOK)
        busy = Busy(callers=("ada",))
        assert {store.claim_delivery(DELIVERY_LEASE, busy).id for _ in range(2)} == {"bob", "no one"}
        assert store.claim_delivery(DELIVERY_LEASE, busy) is None
        assert store.claim_delivery(DELIVERY_LEASE).id == "ada 0"

    def test_the_deliveries_to_a_busy_receiver_wait(self, store: Calls) -> None:
        at_busy = ("https://busy.example", "https://BUSY.example/a", "https://busy.example?a", "https://busy.example#a")
        at_others = ("https://busy.example.org/a", "https://busy.example:8443/a", "http://busy.example/a")
        for number, url in enumerate((*at_busy, *at_others)):
            finish(store, str(number), callback_url=url, caller="ada")
        finish(store, "bob", callback_url=at_busy[0], caller="bob")
        busy = Busy(receivers=(("ada", "https://busy.example"),))
        due = [store.claim_delivery(DELIVERY_LEASE, busy) for _ in range(len(at_others) + 1)]
        assert {(job.caller, job.delivery.url) for job in due} == {
            ("bob", at_busy[0]),
            *(("ada", url) for url in at_others),
        }
        assert store.claim_delivery(DELIVERY_LEASE, busy) is None
        assert {store.claim_delivery(DELIVERY_LEASE).delivery.url for _ in at_busy} == set(at_busy)
