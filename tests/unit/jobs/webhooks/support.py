"""Receivers of callbacks on this machine, a store in memory, and one attempt between them."""

from __future__ import annotations

import asyncio
import contextlib
import re
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from ipaddress import ip_address
from pathlib import Path

from transcription.core.options import DecodeOptions, TranscriptionRequest, VadOptions
from transcription.core.settings import Settings
from transcription.jobs.job import NO_CALLER, Delivery, Job, JobStatus, Recording
from transcription.jobs.store.base import NONE_BUSY, Busy
from transcription.jobs.webhooks.deliverer import Deliverer
from transcription.jobs.webhooks.shares import receiver_of
from transcription.outbound.address_rules import Address

GUIDE = Path(__file__).resolve().parents[4] / "docs/WEBHOOKS.md"
SECRET = "a secret of this test, long enough"
NOW = 1_800_000_000.5
PATIENCE = 20.0  # seconds until a test fails
BODY = b'{"status": "completed"}'
LOOPBACK = ip_address("127.0.0.1")

Answer = Callable[["Post", asyncio.StreamWriter], Awaitable[None]]


@dataclass
class Post:
    """A request as it arrived. headers: with names in lower case."""

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


class MemoryStore:
    """The deliveries of a store, in memory. settled: in the order of settlement."""

    def __init__(self, *jobs: Job) -> None:
        self.jobs = {job.id: job for job in jobs}
        self.settled: list[Delivery] = []
        self.now = NOW

    async def claim_delivery(self, lease_seconds: float, busy: Busy = NONE_BUSY) -> Job | None:
        for job in self.jobs.values():
            delivery = job.delivery
            waits = delivery and (
                job.caller in busy.callers or (job.caller, receiver_of(delivery.url)) in busy.receivers
            )
            if delivery and delivery.next_at is not None and delivery.next_at <= self.now and not waits:
                claimed = replace(delivery, attempts=delivery.attempts + 1, next_at=self.now + lease_seconds)
                self.jobs[job.id] = replace(job, delivery=claimed)
                return self.jobs[job.id]
        return None

    async def settle_delivery(self, job_id: str, delivery: Delivery) -> None:
        self.jobs[job_id] = replace(self.jobs[job_id], delivery=delivery)
        self.settled.append(delivery)


def finished_job(url: str, attempts: int = 0, job_id: str = "job-1", caller: str = NO_CALLER) -> Job:
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
        caller=caller,
    )


async def status_of(_: Job) -> bytes:
    return BODY


async def no_names(host: str, _: int) -> Sequence[Address]:
    raise OSError(f"{host} is not to be resolved here")


def resolving_to(*addresses: str) -> Callable[[str, int], Awaitable[Sequence[Address]]]:
    async def resolve(_: str, __: int) -> Sequence[Address]:
        return [ip_address(address) for address in addresses]

    return resolve


@contextlib.asynccontextmanager
async def delivering(store: MemoryStore, settings: Settings, **options: object) -> AsyncIterator[Deliverer]:
    options = {"resolve": no_names, "clock": lambda: store.now, "chance": lambda: 0.5, **options}
    body_of = options.pop("body_of", status_of)
    deliverer = Deliverer(store, body_of, settings, **options)  # type: ignore[arg-type]
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


async def one_attempt(job: Job, settings: Settings, **options: object) -> Delivery:
    store = MemoryStore(job)
    async with delivering(store, settings, **options):
        await until(lambda: store.settled)
    return store.settled[0]


def documented_check() -> Callable[[str, str, bytes], bool]:
    block = re.search(r"```python\n(.*?)```", GUIDE.read_text(), re.S)
    assert block
    namespace: dict[str, Callable[[str, str, bytes], bool]] = {}
    exec(block[1], namespace)  # type: ignore[arg-type]
    return namespace["is_genuine"]
