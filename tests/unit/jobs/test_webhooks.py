"""Callbacks, sent to real receivers on this machine. Nothing is resolved and nothing leaves it."""

from __future__ import annotations

import asyncio
import contextlib
import re
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from email.utils import formatdate
from ipaddress import ip_address
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import REGISTRY

from tests.support.certificates import write_certificate
from transcription.core.errors import InvalidParameter
from transcription.core.options import DecodeOptions, TranscriptionRequest, VadOptions
from transcription.core.settings import Settings
from transcription.jobs.job import Delivery, DeliveryState, Job, JobStatus, Recording
from transcription.jobs.policy import MAX_DELIVERY_ATTEMPTS
from transcription.jobs.webhooks.deliverer import (
    MAX_TRIES_AT_ONCE,
    Deliverer,
    check_url,
    signature,
)
from transcription.jobs.webhooks.sender import MAX_RESPONSE_BYTES, judge, retry_after_seconds
from transcription.outbound.address_rules import Address

GUIDE = Path(__file__).resolve().parents[3] / "docs/WEBHOOKS.md"
SECRET = "a secret of this test"
NOW = 1_800_000_000.5
PATIENCE = 20.0  # seconds until a test gives up
BODY = b'{"status": "completed"}'
LOOPBACK = ip_address("127.0.0.1")

Answer = Callable[["Post", asyncio.StreamWriter], Awaitable[None]]


@dataclass
class Post:
    """A request as it arrived. headers: names in small letters."""

    target: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Receiver:
    port: int
    posts: list[Post] = field(default_factory=list)
    connections: int = 0
    sent: int = 0  # bytes, of one that streams
    server_names: list[str | None] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook?key=1"


@contextlib.asynccontextmanager
async def receiver(answer: Answer, tls: ssl.SSLContext | None = None) -> AsyncIterator[Receiver]:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        mine.connections += 1
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode().splitlines()
            headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in head[1:] if line)}
            body = await reader.readexactly(int(headers["content-length"]))
            mine.posts.append(Post(head[0].split()[1], headers, body))
            await answer(mine.posts[-1], writer)
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            return
        finally:
            writer.close()

    if tls:
        tls.sni_callback = lambda _socket, name, _context: mine.server_names.append(name)
    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
    mine = Receiver(server.sockets[0].getsockname()[1])
    try:
        yield mine
    finally:
        server.close()


def answering(status: int, headers: str = "", body: str = "") -> Answer:
    async def answer(_: Post, writer: asyncio.StreamWriter) -> None:
        writer.write(f"HTTP/1.1 {status} X\r\nContent-Length: {len(body)}\r\n{headers}\r\n{body}".encode())

    return answer


async def hanging(_: Post, __: asyncio.StreamWriter) -> None:
    await asyncio.sleep(PATIENCE)


class MemoryOutbox:
    """The two methods of a store that callbacks need."""

    def __init__(self, *jobs: Job) -> None:
        self.jobs = {job.id: job for job in jobs}
        self.settled: list[Delivery] = []
        self.now = NOW

    async def claim_delivery(self, lease_seconds: float) -> Job | None:
        for job in self.jobs.values():
            delivery = job.delivery
            if delivery and delivery.next_at is not None and delivery.next_at <= self.now:
                claimed = replace(delivery, attempts=delivery.attempts + 1, next_at=self.now + lease_seconds)
                self.jobs[job.id] = replace(job, delivery=claimed)
                return self.jobs[job.id]
        return None

    async def settle_delivery(self, job_id: str, delivery: Delivery) -> None:
        self.jobs[job_id] = replace(self.jobs[job_id], delivery=delivery)
        self.settled.append(delivery)


def finished_job(url: str, attempts: int = 0, job_id: str = "job-1") -> Job:
    return Job(
        id=job_id,
        number=1,
        work="work",
        status=JobStatus.COMPLETED,
        request=TranscriptionRequest(DecodeOptions(model="demo"), VadOptions()),
        recording=Recording("a", "0" * 64, 1),
        response_format="json",
        created_at=NOW,
        delivery=Delivery(url, attempts=attempts, next_at=NOW),
    )


async def status_of(_: Job) -> bytes:
    return BODY


async def no_names(host: str, _: int) -> Sequence[Address]:
    raise OSError(f"{host} is not to be resolved here")


def resolving_to(*addresses: str) -> Callable[[str, int], Awaitable[Sequence[Address]]]:
    async def resolve(_: str, __: int) -> Sequence[Address]:
        return [ip_address(address) for address in addresses]

    return resolve


@pytest.fixture
def webhook_settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"webhook_secret": SECRET, "webhook_allow": "127.0.0.0/8", "webhook_timeout": 10})


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """What a receiver named hooks.example.com shows, and what trusts it."""
    path = tmp_path_factory.mktemp("tls") / "receiver.pem"
    authority = write_certificate(path, "hooks.example.com")
    theirs = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    theirs.load_cert_chain(path)
    return theirs, ssl.create_default_context(cadata=authority)


@contextlib.asynccontextmanager
async def delivering(outbox: MemoryOutbox, settings: Settings, **options: object) -> AsyncIterator[Deliverer]:
    options = {"resolve": no_names, "clock": lambda: outbox.now, "chance": lambda: 0.5, **options}
    body_of = options.pop("body_of", status_of)
    deliverer = Deliverer(outbox, body_of, settings, **options)  # type: ignore[arg-type]
    task = asyncio.create_task(deliverer.run())
    try:
        yield deliverer
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not condition():
            await asyncio.sleep(0.01)


async def one_try(job: Job, settings: Settings, **options: object) -> Delivery:
    outbox = MemoryOutbox(job)
    async with delivering(outbox, settings, **options):
        await until(lambda: outbox.settled)
    return outbox.settled[0]


def documented_check() -> Callable[[str, str, bytes], bool]:
    block = re.search(r"```python\n(.*?)```", GUIDE.read_text(), re.S)
    assert block
    namespace: dict[str, Callable[[str, str, bytes], bool]] = {}
    exec(block[1], namespace)  # type: ignore[arg-type]
    return namespace["is_genuine"]


# What arrives


def test_the_final_status_arrives_signed_and_named(webhook_settings: Settings) -> None:
    async def scenario() -> tuple[Delivery, list[Post]]:
        async with receiver(answering(204)) as there:
            return await one_try(finished_job(there.url), webhook_settings, clock=time.time), there.posts

    delivery, [post] = asyncio.run(scenario())

    assert delivery.state is DeliveryState.DELIVERED
    assert (delivery.attempts, delivery.next_at) == (1, None)
    assert "204" in delivery.detail
    assert (post.target, post.body) == ("/hook?key=1", BODY)
    assert post.headers["content-type"] == "application/json"
    assert post.headers["webhook-id"] == "job-1"
    assert post.headers["webhook-attempt"] == "1"
    assert documented_check()(SECRET, post.headers["webhook-signature"], post.body)


def test_the_documented_check_refuses_what_was_changed_or_is_old() -> None:
    is_genuine = documented_check()
    now = int(time.time())
    header = signature(SECRET, now, BODY)

    assert is_genuine(SECRET, header, BODY)
    assert not is_genuine("another", header, BODY)
    assert not is_genuine(SECRET, header, BODY + b" ")
    assert not is_genuine(SECRET, header.replace(f"t={now}", f"t={now + 1}"), BODY)
    assert not is_genuine(SECRET, signature(SECRET, now - 301, BODY), BODY)
    assert not any(is_genuine(SECRET, other, BODY) for other in ("", "t=,v1=", "v1=é", "t=²,v1=a", f"t={now}"))


# What the answer means


@pytest.mark.parametrize(
    ("status", "state"),
    [
        *((status, DeliveryState.DELIVERED) for status in (200, 202, 204, 299)),
        *((status, DeliveryState.PENDING) for status in (301, 302, 307, 308, 408, 429, 500, 502, 503, 599)),
        *((status, DeliveryState.GIVEN_UP) for status in (400, 401, 403, 404, 410, 422)),
    ],
)
def test_a_status_delivers_ends_or_is_tried_again(status: int, state: DeliveryState) -> None:
    assert judge(status, 0).state is state
    assert str(status) in judge(status, 0).detail


def test_a_failing_receiver_is_tried_again_later_and_in_the_end_reached(webhook_settings: Settings) -> None:
    async def answer(post: Post, writer: asyncio.StreamWriter) -> None:
        await answering(503 if post.headers["webhook-attempt"] == "1" else 200)(post, writer)

    async def scenario() -> tuple[list[Delivery], list[Post]]:
        async with receiver(answer) as there:
            outbox = MemoryOutbox(finished_job(there.url))
            async with delivering(outbox, webhook_settings) as deliverer:
                await until(lambda: outbox.settled)
                outbox.now += 5
                deliverer.wake()
                await until(lambda: len(outbox.settled) == 2)
            return outbox.settled, there.posts

    (first, second), posts = asyncio.run(scenario())

    assert (first.state, first.next_at) == (DeliveryState.PENDING, NOW + 5)
    assert (second.state, second.attempts) == (DeliveryState.DELIVERED, 2)
    assert posts[0].headers["webhook-id"] == posts[1].headers["webhook-id"]


def test_the_tenth_failure_is_the_last(webhook_settings: Settings) -> None:
    async def scenario() -> Delivery:
        async with receiver(answering(500)) as there:
            return await one_try(finished_job(there.url, attempts=9), webhook_settings)

    delivery = asyncio.run(scenario())

    assert (delivery.state, delivery.attempts, delivery.next_at) == (
        DeliveryState.GIVEN_UP,
        MAX_DELIVERY_ATTEMPTS,
        None,
    )
    assert "500" in delivery.detail
    assert "last of 10 tries" in delivery.detail


def test_a_try_that_was_interrupted_ten_times_is_not_made_again(webhook_settings: Settings) -> None:
    async def scenario() -> tuple[Delivery, list[Post]]:
        async with receiver(answering(200)) as there:
            return await one_try(finished_job(there.url, attempts=MAX_DELIVERY_ATTEMPTS), webhook_settings), there.posts

    delivery, posts = asyncio.run(scenario())

    assert delivery.state is DeliveryState.GIVEN_UP
    assert posts == []


def test_a_redirect_is_not_followed(webhook_settings: Settings) -> None:
    async def scenario() -> tuple[Delivery, list[Post]]:
        async with receiver(answering(200)) as inside, receiver(answering(307, f"Location: {inside.url}\r\n")) as there:
            return await one_try(finished_job(there.url), webhook_settings), inside.posts

    delivery, posts_inside = asyncio.run(scenario())

    assert delivery.state is DeliveryState.PENDING
    assert "redirects are not followed" in delivery.detail
    assert posts_inside == []


def test_a_receiver_may_ask_for_more_time(webhook_settings: Settings) -> None:
    async def scenario() -> Delivery:
        async with receiver(answering(429, "Retry-After: 120\r\n")) as there:
            return await one_try(finished_job(there.url), webhook_settings)

    assert asyncio.run(scenario()).next_at == NOW + 120


def test_a_connection_that_is_refused_is_tried_again(webhook_settings: Settings) -> None:
    async def scenario() -> Delivery:
        async with receiver(hanging) as there:
            pass
        return await one_try(finished_job(there.url), webhook_settings)

    delivery = asyncio.run(scenario())

    assert delivery.state is DeliveryState.PENDING
    assert "connection failed" in delivery.detail


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 200", b"nonsense\r\n\r\n", b"SSH-2.0-x\r\n", b"\0" * 200_000])
def test_what_is_no_http_is_tried_again(webhook_settings: Settings, answer: bytes) -> None:
    async def nonsense(_: Post, writer: asyncio.StreamWriter) -> None:
        writer.write(answer)

    async def scenario() -> Delivery:
        async with receiver(nonsense) as there:
            return await one_try(finished_job(there.url), webhook_settings)

    assert asyncio.run(scenario()).state is DeliveryState.PENDING


# Hostile and slow receivers


def test_a_receiver_that_hangs_is_left_when_the_time_is_over(webhook_settings: Settings) -> None:
    async def scenario() -> Delivery:
        async with receiver(hanging) as there:
            settings = webhook_settings.model_copy(update={"webhook_timeout": 0.3})
            return await one_try(finished_job(there.url), settings)

    delivery = asyncio.run(scenario())

    assert delivery.state is DeliveryState.PENDING
    assert delivery.detail == "No answer within 0.3 s."


def test_a_header_that_never_ends_is_left_when_the_time_is_over(webhook_settings: Settings) -> None:
    async def dripping(_: Post, writer: asyncio.StreamWriter) -> None:
        while True:
            writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            await writer.drain()
            await asyncio.sleep(0.01)

    async def scenario() -> Delivery:
        async with receiver(dripping) as there:
            settings = webhook_settings.model_copy(update={"webhook_timeout": 0.3})
            return await one_try(finished_job(there.url), settings)

    assert asyncio.run(scenario()).detail == "No answer within 0.3 s."


def test_a_body_that_never_ends_is_not_read(webhook_settings: Settings) -> None:
    async def scenario() -> tuple[Delivery, int]:
        async def streaming(_: Post, writer: asyncio.StreamWriter) -> None:
            writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
            while True:
                writer.write(b"x" * 16_384)
                await writer.drain()
                there.sent += 16_384

        async with receiver(streaming) as there:
            delivery = await one_try(finished_job(there.url), webhook_settings)
            return delivery, there.sent

    delivery, sent = asyncio.run(scenario())

    assert delivery.state is DeliveryState.DELIVERED
    assert sent < MAX_RESPONSE_BYTES + 16_000_000  # what the kernel and the streams buffer on the way


def test_a_status_counts_though_the_body_behind_it_hangs(webhook_settings: Settings) -> None:
    async def half(post: Post, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nx")
        await hanging(post, writer)

    async def scenario() -> Delivery:
        async with receiver(half) as there:
            settings = webhook_settings.model_copy(update={"webhook_timeout": 0.3})
            return await one_try(finished_job(there.url), settings)

    assert asyncio.run(scenario()).state is DeliveryState.DELIVERED


def test_receivers_that_hang_do_not_hold_up_the_others(webhook_settings: Settings) -> None:
    async def scenario() -> list[Delivery]:
        async with receiver(hanging) as slow, receiver(answering(200)) as quick:
            hung = [finished_job(slow.url, job_id=f"slow-{number}") for number in range(MAX_TRIES_AT_ONCE - 1)]
            outbox = MemoryOutbox(*hung, finished_job(quick.url, job_id="quick"))
            async with delivering(outbox, webhook_settings):
                await until(lambda: outbox.settled)
            return outbox.settled

    assert [delivery.state for delivery in asyncio.run(scenario())] == [DeliveryState.DELIVERED]


def test_so_many_tries_are_made_at_once_and_no_more(webhook_settings: Settings) -> None:
    async def scenario() -> int:
        async with receiver(hanging) as slow:
            jobs = [finished_job(slow.url, job_id=f"slow-{number}") for number in range(2 * MAX_TRIES_AT_ONCE)]
            outbox = MemoryOutbox(*jobs)
            async with delivering(outbox, webhook_settings):
                await until(lambda: slow.connections == MAX_TRIES_AT_ONCE)
                await asyncio.sleep(0.2)
                return sum(1 for job in outbox.jobs.values() if job.delivery and job.delivery.attempts)

    assert asyncio.run(scenario()) == MAX_TRIES_AT_ONCE


# Where it goes


def test_the_connection_is_made_to_the_checked_address_and_the_name_is_asked_once(webhook_settings: Settings) -> None:
    async def scenario() -> tuple[Delivery, list[Post], list[str]]:
        asked: list[str] = []

        async def rebinding(host: str, _: int) -> Sequence[Address]:
            asked.append(host)
            return [LOOPBACK if len(asked) == 1 else ip_address("127.9.9.9")]

        async with receiver(answering(200)) as there:
            url = f"http://hooks.example.com:{there.port}/"
            return await one_try(finished_job(url), webhook_settings, resolve=rebinding), there.posts, asked

    delivery, [post], asked = asyncio.run(scenario())

    assert delivery.state is DeliveryState.DELIVERED
    assert asked == ["hooks.example.com"]
    assert post.headers["host"].startswith("hooks.example.com:")


@pytest.mark.parametrize("allow", ["", "127.9.0.0/16"])
def test_a_name_that_points_inside_is_refused_without_a_connection(webhook_settings: Settings, allow: str) -> None:
    async def scenario() -> tuple[Delivery, int]:
        async with receiver(answering(200)) as inside:
            settings = webhook_settings.model_copy(update={"webhook_allow": allow})
            delivery = await one_try(
                finished_job("https://hooks.example.com/"), settings, resolve=resolving_to("93.184.215.14", "127.0.0.1")
            )
            return delivery, inside.connections

    delivery, connections = asyncio.run(scenario())

    assert delivery.state is DeliveryState.GIVEN_UP
    assert "public addresses only" in delivery.detail
    assert connections == 0


def test_a_url_that_was_accepted_under_other_settings_is_checked_again(webhook_settings: Settings) -> None:
    settings = webhook_settings.model_copy(update={"webhook_allow": ""})

    delivery = asyncio.run(one_try(finished_job("http://127.0.0.1:1/"), settings))

    assert delivery.state is DeliveryState.GIVEN_UP
    assert "https only" in delivery.detail


def test_a_name_that_is_unknown_is_tried_again(webhook_settings: Settings) -> None:
    delivery = asyncio.run(one_try(finished_job("https://hooks.example.com/"), webhook_settings))

    assert delivery.state is DeliveryState.PENDING
    assert "cannot be resolved" in delivery.detail


def test_a_name_server_that_hangs_uses_up_the_time_of_the_try(webhook_settings: Settings) -> None:
    async def silent(_: str, __: int) -> Sequence[Address]:
        await asyncio.sleep(PATIENCE)
        return []

    settings = webhook_settings.model_copy(update={"webhook_timeout": 0.2})

    delivery = asyncio.run(one_try(finished_job("https://hooks.example.com/"), settings, resolve=silent))

    assert delivery.detail == "No answer within 0.2 s."


def test_when_one_address_refuses_the_next_one_is_tried(webhook_settings: Settings) -> None:
    async def scenario() -> Delivery:
        async with receiver(answering(200)) as there:
            url = f"http://hooks.example.com:{there.port}/"
            return await one_try(finished_job(url), webhook_settings, resolve=resolving_to("127.0.0.9", "127.0.0.1"))

    assert asyncio.run(scenario()).state is DeliveryState.DELIVERED


def test_the_system_is_asked_for_a_name(webhook_settings: Settings) -> None:
    async def scenario() -> Delivery:
        async with receiver(answering(200)) as there:
            settings = webhook_settings.model_copy(update={"webhook_allow": "localhost"})
            return await one_try(finished_job(f"http://localhost:{there.port}/"), settings, resolve=None)

    assert asyncio.run(scenario()).state is DeliveryState.DELIVERED


def test_proxies_in_the_environment_are_not_used(webhook_settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> tuple[Delivery, int]:
        async with receiver(answering(200)) as there, receiver(answering(502)) as proxy:
            for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
                monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
            return await one_try(finished_job(there.url), webhook_settings), proxy.connections

    delivery, through_the_proxy = asyncio.run(scenario())

    assert delivery.state is DeliveryState.DELIVERED
    assert through_the_proxy == 0


def test_over_tls_the_certificate_must_be_that_of_the_name(
    webhook_settings: Settings, certificate: tuple[ssl.SSLContext, ssl.SSLContext]
) -> None:
    theirs, trusting = certificate

    async def scenario(host: str, ours: ssl.SSLContext | None) -> tuple[Delivery, Receiver]:
        async with receiver(answering(200), theirs) as there:
            url = f"https://{host}:{there.port}/"
            job = finished_job(url)
            return await one_try(job, webhook_settings, resolve=resolving_to("127.0.0.1"), tls=ours), there

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


# The loop


def test_what_is_not_due_stays(webhook_settings: Settings) -> None:
    async def scenario() -> list[Delivery]:
        outbox = MemoryOutbox(finished_job("http://127.0.0.1:1/"))
        outbox.now -= 1
        async with delivering(outbox, webhook_settings):
            await asyncio.sleep(0.1)
        return outbox.settled

    assert asyncio.run(scenario()) == []


def test_a_try_that_is_interrupted_stays_claimed_until_its_lease_ends(webhook_settings: Settings) -> None:
    async def scenario() -> tuple[MemoryOutbox, list[Post]]:
        async with receiver(hanging) as slow:
            outbox = MemoryOutbox(finished_job(slow.url))
            async with delivering(outbox, webhook_settings):
                await until(lambda: slow.posts)
            return outbox, slow.posts

    outbox, _ = asyncio.run(scenario())

    delivery = outbox.jobs["job-1"].delivery
    assert outbox.settled == []
    assert delivery and delivery.state is DeliveryState.PENDING
    assert delivery.next_at and delivery.next_at > NOW + webhook_settings.webhook_timeout


def test_a_status_that_cannot_be_written_does_not_hold_up_the_others(webhook_settings: Settings) -> None:
    async def body_of(job: Job) -> bytes:
        if job.id == "broken":
            raise KeyError("text")
        return BODY

    async def scenario() -> dict[str, Job]:
        async with receiver(answering(200)) as there:
            outbox = MemoryOutbox(finished_job(there.url, job_id="broken"), finished_job(there.url, job_id="fine"))
            async with delivering(outbox, webhook_settings, body_of=body_of):
                await until(lambda: len(outbox.settled) == 2)
            return outbox.jobs

    jobs = asyncio.run(scenario())

    assert jobs["broken"].delivery and jobs["broken"].delivery.state is DeliveryState.PENDING
    assert jobs["fine"].delivery and jobs["fine"].delivery.state is DeliveryState.DELIVERED


def test_an_outbox_that_fails_ends_the_loop(webhook_settings: Settings) -> None:
    class FullDisk(MemoryOutbox):
        async def claim_delivery(self, lease_seconds: float) -> Job | None:
            raise OSError("no space left on device")

    with pytest.raises(ExceptionGroup) as failure:
        asyncio.run(Deliverer(FullDisk(), status_of, webhook_settings, resolve=no_names).run())

    assert failure.group_contains(OSError, match="no space")


def test_without_a_secret_nothing_is_sent_and_it_comes_again(webhook_settings: Settings) -> None:
    settings = webhook_settings.model_copy(update={"webhook_secret": ""})

    delivery = asyncio.run(one_try(finished_job("http://127.0.0.1:1/"), settings))

    assert delivery.state is DeliveryState.PENDING
    assert "WEBHOOK_SECRET" in delivery.detail


def test_tries_are_counted_by_outcome(webhook_settings: Settings) -> None:
    def count(outcome: str) -> float:
        return REGISTRY.get_sample_value("transcription_webhook_tries_total", {"outcome": outcome}) or 0.0

    async def scenario(status: int) -> None:
        async with receiver(answering(status)) as there:
            await one_try(finished_job(there.url), webhook_settings)

    for status, outcome in ((200, "delivered"), (500, "failed"), (404, "given_up")):
        before = count(outcome)
        asyncio.run(scenario(status))
        assert count(outcome) == before + 1


# Retry-After


def test_retry_after_is_read_in_both_forms() -> None:
    assert retry_after_seconds("120", NOW) == 120
    assert retry_after_seconds(formatdate(NOW + 60, usegmt=True), NOW) == pytest.approx(60, abs=1)
    assert retry_after_seconds(formatdate(NOW - 60, usegmt=True), NOW) == 0


@given(st.text() | st.from_regex(r"\w{3}, \d+ Jan \d+ \d+:\d+:\d+ [A-Z+0-9-]{1,6}", fullmatch=True))
def test_any_text_in_retry_after_is_some_time_or_none(header: str) -> None:
    assert retry_after_seconds(header, NOW) >= 0


# At submission


@pytest.mark.parametrize(
    ("url", "allow"),
    [
        ("https://example.com/hook", ""),
        ("https://93.184.215.14/", ""),
        ("http://127.0.0.1:5000/", "127.0.0.1"),
        ("http://app:5000/", "app:5000"),
        ("http://app:5000/", "10.0.0.0/8"),
    ],
)
def test_an_address_that_may_be_allowed_is_accepted(webhook_settings: Settings, url: str, allow: str) -> None:
    check_url(url, webhook_settings.model_copy(update={"webhook_allow": allow}))


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com/",
        "https://example.com:8443/",
        "https://127.0.0.1/",
        "https://[::1]/",
        "https://169.254.169.254/",
    ],
)
def test_an_address_that_is_never_allowed_is_refused_with_the_remedy(webhook_settings: Settings, url: str) -> None:
    with pytest.raises(InvalidParameter, match=r"callback_url is refused.*WEBHOOK_ALLOW"):
        check_url(url, webhook_settings.model_copy(update={"webhook_allow": ""}))


def test_without_a_secret_a_callback_is_refused(webhook_settings: Settings) -> None:
    with pytest.raises(InvalidParameter, match="WEBHOOK_SECRET"):
        check_url("https://example.com/", webhook_settings.model_copy(update={"webhook_secret": ""}))
