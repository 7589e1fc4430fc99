"""Many clients that only read: parallel readers, event watchers and clients that never read their response.

`python -m tests.resilience.crowd` starts a real service with a finished one-hour job in its store and reports, before,
during and after the crowd, the latency of `/health/live` and the memory and descriptors of the API process.
`tests.resilience.soak` sends the same crowd in each of its rounds.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import multiprocessing
import resource
import socket
import statistics
import sys
import tempfile
import time
import uuid
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from multiprocessing.synchronize import Event
from pathlib import Path
from urllib.parse import urlsplit

import psutil  # type: ignore[import-untyped]

from benchmarks.load import API, service_processes
from benchmarks.report import table
from tests.support.service import local_service
from transcription.core.audio import SAMPLE_RATE, Span, Timeline
from transcription.core.options import DecodeOptions, TranscriptionRequest, VadOptions
from transcription.core.settings import Settings
from transcription.core.transcript import PlacedResult, Segment, Transcript, WindowResult, Word
from transcription.jobs.job import Job, NewJob, Recording
from transcription.jobs.policy import MAX_POSTPONEMENT
from transcription.jobs.store.base import JobStore, LeaseLost
from transcription.jobs.store.open import open_store

HOUR = 3600.0  # seconds
SEGMENTS, WORDS = 1000, 10  # of a one-hour recording; words of a segment
WATCHED_JOBS = 10
PROBE_SECONDS = 0.02  # between two probes
CHUNK = 65536
SMALL_WINDOW = 4096  # bytes: the receive buffer of a client that never reads
START_SECONDS = 5.0  # in which the crowd arrives; latencies are measured from its first client on
# The answers that a crowd should get.
OF_A_CROWD = frozenset({"read 200", "watch 200", "pieces of events", "never read"})
# The service is started with the usual soft limit of a shell, whatever the limit of this process.
USUAL_DESCRIPTORS = 1024


@dataclass(frozen=True, slots=True)
class Crowd:
    """The number of clients of each kind."""

    readers: int = 64
    watchers: int = 1000
    mute: int = 100


@dataclass(frozen=True, slots=True)
class Stored:
    """The ids of jobs in the store: one that is finished, and some that wait and stay unfinished."""

    finished: str
    waiting: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Measured:
    """A phase. latencies: of /health/live, seconds. resident: of the API process, bytes: at the end and the peak."""

    name: str
    latencies: tuple[float, ...]
    resident: int
    peak: int
    descriptors: int
    answers: Counter[str]

    def percentile(self, share: float) -> float:
        """A percentile of the latencies, seconds."""
        ordered = sorted(self.latencies) or [float("nan")]
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def one_hour() -> Transcript:
    """The transcript of an hour of speech, with words."""
    length = HOUR / SEGMENTS
    segments = tuple(_segment(i * length, length) for i in range(SEGMENTS))
    return Transcript("en", 0.98, HOUR, segments, "demo", word_timestamps=True)


def _segment(start: float, length: float) -> Segment:
    step = length / WORDS
    words = tuple(Word(f" word{i:03}", start + i * step, start + (i + 1) * step, 0.9) for i in range(WORDS))
    text = "".join(word.text for word in words)
    return Segment(start, start + length, text, tuple(range(WORDS * 2)), -0.2, 1.3, 0.01, 0.0, words=words)


async def store_jobs(settings: Settings, waiting: int = WATCHED_JOBS) -> Stored:
    """Put the jobs into the store, as a service that has done the work would have. A service may be running on it."""
    store = open_store(settings)
    try:
        finished = await _claimed(store, _finish)
        return Stored(finished, tuple([await _claimed(store, _postpone) for _ in range(waiting)]))
    finally:
        await store.close()


async def _claimed(store: JobStore, work: Callable[[JobStore, Job], Awaitable[None]]) -> str:
    """The id of a new job on which `work` was done. A running service may claim the job first; then another is made."""
    while True:
        job_id = str(uuid.uuid4())
        options = TranscriptionRequest(DecodeOptions("demo", word_timestamps=True), VadOptions())
        recording = Recording(f"{job_id}.wav", "0" * 64, 1)
        await store.submit(NewJob(job_id, job_id, options, recording, "json", job_id))
        with contextlib.suppress(LeaseLost):
            if lease := await store.claim("crowd", job_id):
                await work(store, lease)
                return job_id


async def _finish(store: JobStore, lease: Job) -> None:
    for position in range(int(HOUR // 30)):
        span = Span(position * 30 * SAMPLE_RATE, 30 * SAMPLE_RATE)
        result = WindowResult("en", 0.98, tuple(_segment(i * 3.6, 3.6) for i in range(8)))
        await store.checkpoint(lease, position, PlacedResult(Timeline((span,)), result, (span,)), HOUR)
    await store.complete(lease, one_hour())


async def _postpone(store: JobStore, lease: Job) -> None:
    await store.postpone(lease, MAX_POSTPONEMENT)


async def _connect(url: str, receive_buffer: int = 0) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    address = urlsplit(url)
    plain = socket.socket()
    plain.setblocking(False)
    if receive_buffer:
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    await asyncio.get_running_loop().sock_connect(plain, (address.hostname, address.port))
    return await asyncio.open_connection(sock=plain, limit=CHUNK)


def _request(path: str) -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()


async def read_again(url: str, path: str, answers: Counter[str]) -> None:
    """Request `path` over one connection and read the response, until cancelled."""
    reader, writer = await _connect(url)
    while True:
        writer.write(_request(path))
        head = await reader.readuntil(b"\r\n\r\n")
        status = head.split()[1].decode()
        length = next(int(line.split(b":")[1]) for line in head.lower().split(b"\r\n") if b"content-length" in line)
        while length > 0:
            data = await reader.read(min(length, CHUNK))
            if not data:
                raise ConnectionResetError("closed within a response")
            length -= len(data)
        answers[f"read {status}"] += 1
        if status != "200":
            await asyncio.sleep(1)


async def watch(url: str, path: str, answers: Counter[str]) -> None:
    """Read events until the stream ends."""
    reader, writer = await _connect(url)
    writer.write(_request(path))
    head = await reader.readuntil(b"\r\n\r\n")
    answers[f"watch {head.split()[1].decode()}"] += 1
    while await reader.read(CHUNK):
        answers["pieces of events"] += 1
    answers["watch ended"] += 1


async def never_read(url: str, path: str, answers: Counter[str]) -> None:
    """Send a request and leave the response unread, until cancelled."""
    address = urlsplit(url)
    with socket.socket() as plain:
        plain.setblocking(False)
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL_WINDOW)
        loop = asyncio.get_running_loop()
        await loop.sock_connect(plain, (address.hostname, address.port))
        await loop.sock_sendall(plain, _request(path))
        answers["never read"] += 1
        await asyncio.Event().wait()


async def send_crowd(url: str, jobs: Stored, crowd: Crowd, seconds: float) -> Counter[str]:
    """Keep the crowd connected for so many seconds; what came of its requests."""
    answers: Counter[str] = Counter()

    async def counted(client: Callable[[str, str, Counter[str]], Awaitable[None]], path: str, delay: float) -> None:
        await asyncio.sleep(delay)
        try:
            await client(url, path, answers)
        except (OSError, asyncio.IncompleteReadError) as error:
            answers[f"{client.__name__}: {type(error).__name__}"] += 1

    kinds = [
        (read_again, crowd.readers, (f"/status/{jobs.finished}",)),
        (watch, crowd.watchers, tuple(f"/jobs/{job}/events" for job in jobs.waiting)),
        (never_read, crowd.mute, (f"/jobs/{jobs.finished}/result?response_format=verbose_json",)),
    ]
    tasks = [
        asyncio.create_task(counted(client, paths[number % len(paths)], START_SECONDS * number / max(1, count)))
        for client, count, paths in kinds
        for number in range(count)
    ]
    await asyncio.sleep(seconds)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    return answers


def _probe(url: str, stop: Event, results: multiprocessing.Queue[tuple[float, ...]]) -> None:
    """Runs in a process of its own, so that the crowd's work does not count as the service's."""
    address = urlsplit(url)
    latencies = []
    while not stop.is_set():
        began = time.perf_counter()
        with socket.create_connection((address.hostname, address.port), timeout=120) as plain:
            plain.sendall(_request("/health/live"))
            assert plain.recv(CHUNK).startswith(b"HTTP/1.1 200")
        latencies.append(time.perf_counter() - began)
        time.sleep(PROBE_SECONDS)
    results.put(tuple(latencies))


@contextlib.contextmanager
def probing(url: str, latencies: list[float]) -> Iterator[None]:
    """Probe /health/live while the context lasts."""
    context = multiprocessing.get_context("spawn")
    stop, results = context.Event(), context.Queue()
    process = context.Process(target=_probe, args=(url, stop, results))
    process.start()
    try:
        yield
    finally:
        stop.set()
        latencies.extend(results.get(timeout=180))
        process.join()


async def measure(name: str, url: str, process: psutil.Process, work: Awaitable[Counter[str]]) -> Measured:
    """Latency, memory and descriptors while `work` runs."""
    latencies: list[float] = []
    peak = 0

    async def watch_memory() -> None:
        nonlocal peak
        while True:
            peak = max(peak, process.memory_info().rss)
            await asyncio.sleep(0.2)

    watching = asyncio.create_task(watch_memory())
    with probing(url, latencies):
        answers = await work
        descriptors = process.num_fds()
    watching.cancel()
    return Measured(name, tuple(latencies), process.memory_info().rss, peak, descriptors, answers)


async def no_crowd(seconds: float) -> Counter[str]:
    """No crowd."""
    await asyncio.sleep(seconds)
    return Counter()


async def report(url: str, process: psutil.Process, jobs: Stored, crowd: Crowd, seconds: float) -> list[Measured]:
    """The three phases. The first is preceded by one read of each kind, which loads what is imported late."""
    await send_crowd(url, jobs, Crowd(1, 1, 0), 1)
    phases = [await measure("before", url, process, no_crowd(5))]
    phases.append(await measure("crowd", url, process, send_crowd(url, jobs, crowd, seconds)))
    await asyncio.sleep(15)  # what is kept for readers is dropped
    phases.append(await measure("after", url, process, no_crowd(5)))
    return phases


def result_table(phases: list[Measured]) -> str:
    """A row for each phase."""
    rows = [
        (
            phase.name,
            str(len(phase.latencies)),
            *(f"{1000 * phase.percentile(share):.0f}" for share in (0.5, 0.99, 1.0)),
            *(f"{size / 1e6:.0f}" for size in (phase.peak, phase.resident)),
            str(phase.descriptors),
        )
        for phase in phases
    ]
    head = ("phase", "probes", "median, ms", "p99, ms", "worst, ms", "peak, MB", "memory, MB", "descriptors")
    return table(head, rows)


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    usual = Crowd()
    parser.add_argument("--readers", type=int, default=usual.readers, help="parallel readers (%(default)s)")
    parser.add_argument("--watchers", type=int, default=usual.watchers, help="event watchers (%(default)s)")
    parser.add_argument("--mute", type=int, default=usual.mute, help="clients that never read (%(default)s)")
    parser.add_argument("--seconds", type=float, default=30)
    return parser.parse_args()


def main() -> int:
    """Returns the exit code."""
    arguments = parse()
    crowd = Crowd(arguments.readers, arguments.watchers, arguments.mute)
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with tempfile.TemporaryDirectory(prefix="crowd-") as name:
        folder = Path(name)
        jobs = asyncio.run(store_jobs(Settings(jobs_dir=folder / "jobs")))
        resource.setrlimit(resource.RLIMIT_NOFILE, (USUAL_DESCRIPTORS, most))
        with local_service({}, folder / "log") as service:
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
            [pid] = service_processes(service.process.pid, API)
            phases = asyncio.run(report(service.url, psutil.Process(pid), jobs, crowd, arguments.seconds))
    print(result_table(phases))
    print(dict(phases[1].answers))
    print(f"median of /health/live: {1000 * statistics.median(phases[1].latencies):.0f} ms")
    return 0


if __name__ == "__main__":
    sys.exit(main())
