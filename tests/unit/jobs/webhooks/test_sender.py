"""Attempts to reach hostile, slow and redirected receivers. No name is resolved outside this machine."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Sequence
from email.utils import formatdate
from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.jobs.webhooks.support import (
    LOOPBACK,
    NOW,
    PATIENCE,
    MemoryStore,
    Post,
    Receiver,
    answering,
    delivering,
    finished_job,
    hanging,
    one_attempt,
    receiver,
    resolving_to,
    until,
)
from transcription.core.settings import Settings
from transcription.jobs.job import Delivery, DeliveryState
from transcription.jobs.webhooks.sender import MAX_RESPONSE_BYTES, retry_after_seconds
from transcription.jobs.webhooks.shares import MAX_CONCURRENT_ATTEMPTS
from transcription.outbound.address_rules import Address

# Hostile and slow receivers


def test_a_receiver_that_hangs_times_out(webhook_settings: Settings) -> None:
    async def scenario() -> Delivery:
        async with receiver(hanging) as there:
            settings = webhook_settings.model_copy(update={"webhook_timeout": 0.3})
            return await one_attempt(finished_job(there.url), settings)

    delivery = asyncio.run(scenario())

    assert delivery.state is DeliveryState.PENDING
    assert delivery.detail == "No answer within 0.3 s."


def test_an_endless_header_times_out(webhook_settings: Settings) -> None:
    async def dripping(_: Post, writer: asyncio.StreamWriter) -> None:
        while True:
            writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            await writer.drain()
            await asyncio.sleep(0.01)

    async def scenario() -> Delivery:
        async with receiver(dripping) as there:
            settings = webhook_settings.model_copy(update={"webhook_timeout": 0.3})
            return await one_attempt(finished_job(there.url), settings)

    assert asyncio.run(scenario()).detail == "No answer within 0.3 s."


def test_an_endless_body_is_not_read_to_its_end(webhook_settings: Settings) -> None:
    async def scenario() -> tuple[Delivery, int]:
        async def streaming(_: Post, writer: asyncio.StreamWriter) -> None:
            writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
            while True:
                writer.write(b"x" * 16_384)
                await writer.drain()
                there.sent += 16_384

        async with receiver(streaming) as there:
            delivery = await one_attempt(finished_job(there.url), webhook_settings)
            return delivery, there.sent

    delivery, sent = asyncio.run(scenario())

    assert delivery.state is DeliveryState.DELIVERED
    assert sent < MAX_RESPONSE_BYTES + 16_000_000  # what the kernel and the streams buffer on the way


def test_a_status_counts_even_if_its_body_hangs(webhook_settings: Settings) -> None:
    async def half(post: Post, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nx")
        await hanging(post, writer)

    async def scenario() -> Delivery:
        async with receiver(half) as there:
            settings = webhook_settings.model_copy(update={"webhook_timeout": 0.3})
            return await one_attempt(finished_job(there.url), settings)

    assert asyncio.run(scenario()).state is DeliveryState.DELIVERED


@pytest.mark.parametrize("answer", ["", "SSH-2.0-OpenSSH\r\n", "HTTP/1.1 200 OK\r\nroot user\r\n\r\n"])
def test_what_is_no_http_is_said_without_what_the_receiver_sent(webhook_settings: Settings, answer: str) -> None:
    async def other(_: Post, writer: asyncio.StreamWriter) -> None:
        writer.write(answer.encode())

    async def scenario() -> Delivery:
        async with receiver(other) as there:
            return await one_attempt(finished_job(there.url), webhook_settings)

    delivery = asyncio.run(scenario())
    assert delivery.state is DeliveryState.PENDING
    assert delivery.detail == "The receiver gave no answer, or one that is not HTTP."


@pytest.mark.parametrize("slow_host", ["127.0.0.1", "{number}.example"])
def test_receivers_that_hang_do_not_delay_others(webhook_settings: Settings, slow_host: str) -> None:
    async def scenario() -> list[Delivery]:
        async with receiver(hanging) as slow, receiver(answering(200)) as quick:
            hung = [
                finished_job(
                    slow.url.replace("127.0.0.1", slow_host.format(number=number)), job_id=f"{number}", caller="ada"
                )
                for number in range(2, 4 * MAX_CONCURRENT_ATTEMPTS)
            ]
            store = MemoryStore(*hung, finished_job(quick.url, job_id="quick", caller="bob"))
            async with delivering(store, webhook_settings, resolve=resolving_to("127.0.0.1")):
                await until(lambda: store.settled)
            return store.settled

    assert [delivery.state for delivery in asyncio.run(scenario())] == [DeliveryState.DELIVERED]


def test_the_number_of_concurrent_attempts_for_a_receiver_is_limited(webhook_settings: Settings) -> None:
    async def scenario() -> int:
        async with receiver(hanging) as slow:
            jobs = [finished_job(slow.url, job_id=f"slow-{number}") for number in range(2 * MAX_CONCURRENT_ATTEMPTS)]
            store = MemoryStore(*jobs)
            async with delivering(store, webhook_settings):
                await until(lambda: slow.connections == MAX_CONCURRENT_ATTEMPTS // 4)
                await asyncio.sleep(0.2)
                return sum(1 for job in store.jobs.values() if job.delivery and job.delivery.attempts)

    assert asyncio.run(scenario()) == MAX_CONCURRENT_ATTEMPTS // 4


# Addresses


def test_the_connection_goes_to_the_checked_address_and_the_name_is_resolved_once(webhook_settings: Settings) -> None:
    async def scenario() -> tuple[Delivery, list[Post], list[str]]:
        asked: list[str] = []

        async def rebinding(host: str, _: int) -> Sequence[Address]:
            asked.append(host)
            return [LOOPBACK if len(asked) == 1 else ip_address("127.9.9.9")]

        async with receiver(answering(200)) as there:
            url = f"http://hooks.example.com:{there.port}/"
            return await one_attempt(finished_job(url), webhook_settings, resolve=rebinding), there.posts, asked

    delivery, [post], asked = asyncio.run(scenario())

    assert delivery.state is DeliveryState.DELIVERED
    assert asked == ["hooks.example.com"]
    assert post.headers["host"].startswith("hooks.example.com:")


@pytest.mark.parametrize("allow", ["", "127.9.0.0/16"])
def test_a_name_with_an_internal_address_is_given_up_without_a_connection(
    webhook_settings: Settings, allow: str
) -> None:
    async def scenario() -> tuple[Delivery, int]:
        async with receiver(answering(200)) as inside:
            settings = webhook_settings.model_copy(update={"webhook_allow": allow})
            delivery = await one_attempt(
                finished_job("https://hooks.example.com/"), settings, resolve=resolving_to("93.184.215.14", "127.0.0.1")
            )
            return delivery, inside.connections

    delivery, connections = asyncio.run(scenario())

    assert delivery.state is DeliveryState.GIVEN_UP
    assert "public addresses only" in delivery.detail
    assert connections == 0


def test_a_url_accepted_under_earlier_settings_is_checked_again(webhook_settings: Settings) -> None:
    settings = webhook_settings.model_copy(update={"webhook_allow": ""})

    delivery = asyncio.run(one_attempt(finished_job("http://127.0.0.1:1/"), settings))

    assert delivery.state is DeliveryState.GIVEN_UP
    assert "https only" in delivery.detail


def test_an_unknown_name_leaves_the_delivery_pending(webhook_settings: Settings) -> None:
    delivery = asyncio.run(one_attempt(finished_job("https://hooks.example.com/"), webhook_settings))

    assert delivery.state is DeliveryState.PENDING
    assert "cannot be resolved" in delivery.detail


def test_a_name_server_that_hangs_counts_towards_the_timeout(webhook_settings: Settings) -> None:
    async def silent(_: str, __: int) -> Sequence[Address]:
        await asyncio.sleep(PATIENCE)
        return []

    settings = webhook_settings.model_copy(update={"webhook_timeout": 0.2})

    delivery = asyncio.run(one_attempt(finished_job("https://hooks.example.com/"), settings, resolve=silent))

    assert delivery.detail == "No answer within 0.2 s."


def test_after_a_refused_connection_the_next_address_is_used(webhook_settings: Settings) -> None:
    async def scenario() -> Delivery:
        async with receiver(answering(200)) as there:
            url = f"http://hooks.example.com:{there.port}/"
            return await one_attempt(
                finished_job(url), webhook_settings, resolve=resolving_to("127.0.0.9", "127.0.0.1")
            )

    assert asyncio.run(scenario()).state is DeliveryState.DELIVERED


def test_names_are_resolved_by_the_system(webhook_settings: Settings) -> None:
    async def scenario() -> Delivery:
        async with receiver(answering(200)) as there:
            settings = webhook_settings.model_copy(update={"webhook_allow": "localhost"})
            return await one_attempt(finished_job(f"http://localhost:{there.port}/"), settings, resolve=None)

    assert asyncio.run(scenario()).state is DeliveryState.DELIVERED


def test_proxies_in_the_environment_are_not_used(webhook_settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> tuple[Delivery, int]:
        async with receiver(answering(200)) as there, receiver(answering(502)) as proxy:
            for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
                monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
            return await one_attempt(finished_job(there.url), webhook_settings), proxy.connections

    delivery, through_the_proxy = asyncio.run(scenario())

    assert delivery.state is DeliveryState.DELIVERED
    assert through_the_proxy == 0


def test_the_certificate_must_match_the_host_name(
    webhook_settings: Settings, certificate: tuple[ssl.SSLContext, ssl.SSLContext]
) -> None:
    theirs, trusting = certificate

    async def scenario(host: str, ours: ssl.SSLContext | None) -> tuple[Delivery, Receiver]:
        async with receiver(answering(200), theirs) as there:
            url = f"https://{host}:{there.port}/"
            job = finished_job(url)
            return await one_attempt(job, webhook_settings, resolve=resolving_to("127.0.0.1"), tls=ours), there

    right, there = asyncio.run(scenario("hooks.example.com", trusting))
    other_name, _ = asyncio.run(scenario("other.example.com", trusting))
    no_name, _ = asyncio.run(scenario("127.0.0.1", trusting))
    unknown_authority, _ = asyncio.run(scenario("hooks.example.com", None))

    assert right.state is DeliveryState.DELIVERED
    assert there.server_names == ["hooks.example.com"]
    assert there.posts[0].headers["host"] == f"hooks.example.com:{there.port}"
    for refused in (other_name, no_name, unknown_authority):
        assert refused.state is DeliveryState.PENDING
        assert "certificate verify failed" in refused.detail


# Retry-After


def test_retry_after_is_read_as_a_number_and_as_a_date() -> None:
    assert retry_after_seconds("120", NOW) == 120
    assert retry_after_seconds(formatdate(NOW + 60, usegmt=True), NOW) == pytest.approx(60, abs=1)
    assert retry_after_seconds(formatdate(NOW - 60, usegmt=True), NOW) == 0


@given(st.text() | st.from_regex(r"\w{3}, \d+ Jan \d+ \d+:\d+:\d+ [A-Z+0-9-]{1,6}", fullmatch=True))
def test_any_text_in_retry_after_is_read_without_an_error(header: str) -> None:
    assert retry_after_seconds(header, NOW) >= 0
