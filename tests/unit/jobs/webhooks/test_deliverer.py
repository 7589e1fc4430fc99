"""Deliveries of callbacks to receivers on this machine: when, how often, and what arrives."""

from __future__ import annotations

import asyncio
import time

import pytest
from prometheus_client import REGISTRY

from tests.unit.jobs.webhooks.support import (
    BODY,
    NOW,
    SECRET,
    MemoryStore,
    Post,
    answering,
    delivering,
    documented_check,
    finished_job,
    hanging,
    one_attempt,
    receiver,
    until,
)
from transcription.core.settings import Settings
from transcription.jobs.job import Delivery, DeliveryState, Job
from transcription.jobs.policy import MAX_DELIVERY_ATTEMPTS
from transcription.jobs.webhooks.deliverer import (
    signature,
)
from transcription.jobs.webhooks.sender import judge

# What arrives


def test_the_final_status_arrives_signed_and_identified(webhook_settings: Settings) -> None:
    async def scenario() -> tuple[Delivery, list[Post]]:
        async with receiver(answering(204)) as there:
            return await one_attempt(finished_job(there.url), webhook_settings, clock=time.time), there.posts

    delivery, [post] = asyncio.run(scenario())

    assert delivery.state is DeliveryState.DELIVERED
    assert (delivery.attempts, delivery.next_at) == (1, None)
    assert "204" in delivery.detail
    assert (post.target, post.body) == ("/hook?key=1", BODY)
    assert post.headers["content-type"] == "application/json"
    assert post.headers["webhook-id"] == "job-1"
    assert post.headers["webhook-attempt"] == "1"
    assert documented_check()(SECRET, post.headers["webhook-signature"], post.body)


def test_the_documented_check_rejects_modified_and_old_callbacks() -> None:
    is_genuine = documented_check()
    now = int(time.time())
    header = signature(SECRET, now, BODY)

    assert is_genuine(SECRET, header, BODY)
    assert not is_genuine("another", header, BODY)
    assert not is_genuine(SECRET, header, BODY + b" ")
    assert not is_genuine(SECRET, header.replace(f"t={now}", f"t={now + 1}"), BODY)
    assert not is_genuine(SECRET, signature(SECRET, now - 301, BODY), BODY)
    assert not any(is_genuine(SECRET, other, BODY) for other in ("", "t=,v1=", "v1=é", "t=²,v1=a", f"t={now}"))


# Outcomes


@pytest.mark.parametrize(
    ("status", "state"),
    [
        *((status, DeliveryState.DELIVERED) for status in (200, 202, 204, 299)),
        *((status, DeliveryState.PENDING) for status in (301, 302, 307, 308, 408, 429, 500, 502, 503, 599)),
        *((status, DeliveryState.GIVEN_UP) for status in (400, 401, 403, 404, 410, 422)),
    ],
)
def test_the_status_of_the_response_decides_the_outcome(status: int, state: DeliveryState) -> None:
    assert judge(status, 0).state is state
    assert str(status) in judge(status, 0).detail


def test_a_failed_delivery_is_repeated_until_it_succeeds(webhook_settings: Settings) -> None:
    async def answer(post: Post, writer: asyncio.StreamWriter) -> None:
        await answering(503 if post.headers["webhook-attempt"] == "1" else 200)(post, writer)

    async def scenario() -> tuple[list[Delivery], list[Post]]:
        async with receiver(answer) as there:
            store = MemoryStore(finished_job(there.url))
            async with delivering(store, webhook_settings) as deliverer:
                await until(lambda: store.settled)
                store.now += 5
                deliverer.wake()
                await until(lambda: len(store.settled) == 2)
            return store.settled, there.posts

    (first, second), posts = asyncio.run(scenario())

    assert (first.state, first.next_at) == (DeliveryState.PENDING, NOW + 5)
    assert (second.state, second.attempts) == (DeliveryState.DELIVERED, 2)
    assert posts[0].headers["webhook-id"] == posts[1].headers["webhook-id"]


def test_a_delivery_is_given_up_after_the_tenth_failure(webhook_settings: Settings) -> None:
    async def scenario() -> Delivery:
        async with receiver(answering(500)) as there:
            return await one_attempt(finished_job(there.url, attempts=9), webhook_settings)

    delivery = asyncio.run(scenario())

    assert (delivery.state, delivery.attempts, delivery.next_at) == (
        DeliveryState.GIVEN_UP,
        MAX_DELIVERY_ATTEMPTS,
        None,
    )
    assert "500" in delivery.detail
    assert "last of 10 attempts" in delivery.detail


def test_a_delivery_that_was_interrupted_ten_times_is_given_up(webhook_settings: Settings) -> None:
    async def scenario() -> tuple[Delivery, list[Post]]:
        async with receiver(answering(200)) as there:
            return await one_attempt(
                finished_job(there.url, attempts=MAX_DELIVERY_ATTEMPTS), webhook_settings
            ), there.posts

    delivery, posts = asyncio.run(scenario())

    assert delivery.state is DeliveryState.GIVEN_UP
    assert posts == []


def test_a_redirect_is_not_followed(webhook_settings: Settings) -> None:
    async def scenario() -> tuple[Delivery, list[Post]]:
        async with receiver(answering(200)) as inside, receiver(answering(307, f"Location: {inside.url}\r\n")) as there:
            return await one_attempt(finished_job(there.url), webhook_settings), inside.posts

    delivery, posts_inside = asyncio.run(scenario())

    assert delivery.state is DeliveryState.PENDING
    assert "redirects are not followed" in delivery.detail
    assert posts_inside == []


def test_the_retry_after_of_a_receiver_is_respected(webhook_settings: Settings) -> None:
    async def scenario() -> Delivery:
        async with receiver(answering(429, "Retry-After: 120\r\n")) as there:
            return await one_attempt(finished_job(there.url), webhook_settings)

    assert asyncio.run(scenario()).next_at == NOW + 120


def test_a_refused_connection_leaves_the_delivery_pending(webhook_settings: Settings) -> None:
    async def scenario() -> Delivery:
        async with receiver(hanging) as there:
            pass
        return await one_attempt(finished_job(there.url), webhook_settings)

    delivery = asyncio.run(scenario())

    assert delivery.state is DeliveryState.PENDING
    assert "connection failed" in delivery.detail


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 200", b"nonsense\r\n\r\n", b"SSH-2.0-x\r\n", b"\0" * 200_000])
def test_a_response_that_is_not_http_leaves_the_delivery_pending(webhook_settings: Settings, answer: bytes) -> None:
    async def nonsense(_: Post, writer: asyncio.StreamWriter) -> None:
        writer.write(answer)

    async def scenario() -> Delivery:
        async with receiver(nonsense) as there:
            return await one_attempt(finished_job(there.url), webhook_settings)

    assert asyncio.run(scenario()).state is DeliveryState.PENDING


# The loop


def test_a_delivery_that_is_not_due_is_not_attempted(webhook_settings: Settings) -> None:
    async def scenario() -> list[Delivery]:
        store = MemoryStore(finished_job("http://127.0.0.1:1/"))
        store.now -= 1
        async with delivering(store, webhook_settings):
            await asyncio.sleep(0.1)
        return store.settled

    assert asyncio.run(scenario()) == []


def test_an_interrupted_attempt_stays_claimed_until_its_lease_expires(webhook_settings: Settings) -> None:
    async def scenario() -> tuple[MemoryStore, list[Post]]:
        async with receiver(hanging) as slow:
            store = MemoryStore(finished_job(slow.url))
            async with delivering(store, webhook_settings):
                await until(lambda: slow.posts)
            return store, slow.posts

    store, _ = asyncio.run(scenario())

    delivery = store.jobs["job-1"].delivery
    assert store.settled == []
    assert delivery and delivery.state is DeliveryState.PENDING
    assert delivery.next_at and delivery.next_at > NOW + webhook_settings.webhook_timeout


def test_a_status_that_cannot_be_rendered_does_not_delay_others(webhook_settings: Settings) -> None:
    async def body_of(job: Job) -> bytes:
        if job.id == "broken":
            raise KeyError("text")
        return BODY

    async def scenario() -> dict[str, Job]:
        async with receiver(answering(200)) as there:
            store = MemoryStore(finished_job(there.url, job_id="broken"), finished_job(there.url, job_id="fine"))
            async with delivering(store, webhook_settings, body_of=body_of):
                await until(lambda: len(store.settled) == 2)
            return store.jobs

    jobs = asyncio.run(scenario())

    assert jobs["broken"].delivery and jobs["broken"].delivery.state is DeliveryState.PENDING
    assert jobs["fine"].delivery and jobs["fine"].delivery.state is DeliveryState.DELIVERED


@pytest.mark.parametrize("step", ["claim_delivery", "settle_delivery"])
def test_deliveries_go_on_after_an_unexpected_error_of_the_store(
    webhook_settings: Settings, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The delivery whose outcome could not be stored is repeated when its lease expires."""

    async def scenario() -> None:
        async with receiver(answering(200)) as there:
            store = MemoryStore(finished_job(there.url, job_id="first"), finished_job(there.url, job_id="second"))
            works, errors = getattr(store, step), [KeyError("a row that cannot be read")]

            async def fail_once(*arguments: object) -> object:
                if errors:
                    raise errors.pop()
                return await works(*arguments)

            monkeypatch.setattr(store, step, fail_once)
            async with delivering(store, webhook_settings):
                await until(lambda: len(store.settled) == (1 if step == "settle_delivery" else 2))

    asyncio.run(scenario())


def test_without_a_secret_nothing_is_sent_and_the_delivery_stays_pending(webhook_settings: Settings) -> None:
    settings = webhook_settings.model_copy(update={"webhook_secret": ""})

    delivery = asyncio.run(one_attempt(finished_job("http://127.0.0.1:1/"), settings))

    assert delivery.state is DeliveryState.PENDING
    assert "WEBHOOK_SECRET" in delivery.detail


def test_attempts_are_counted_by_outcome(webhook_settings: Settings) -> None:
    def count(outcome: str) -> float:
        return REGISTRY.get_sample_value("transcription_webhook_tries_total", {"outcome": outcome}) or 0.0

    async def scenario(status: int) -> None:
        async with receiver(answering(status)) as there:
            await one_attempt(finished_job(there.url), webhook_settings)

    for status, outcome in ((200, "delivered"), (500, "failed"), (404, "given_up")):
        before = count(outcome)
        asyncio.run(scenario(status))
        assert count(outcome) == before + 1
