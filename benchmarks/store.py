"""Measure the operations of each job store with 10,000 jobs in it, and print which indexes SQLite's queries use."""

from __future__ import annotations

import argparse
import asyncio
import random
import re
import sqlite3
import tempfile
import time
import zlib
from collections.abc import Awaitable, Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

from redis.asyncio import Redis

from tests.support.cluster import redis_member
from tests.support.service import ROOT, free_port
from transcription.core.audio import Span, Timeline
from transcription.core.options import DecodeOptions, TranscriptionRequest, VadOptions
from transcription.core.settings import Settings
from transcription.core.transcript import PlacedResult, Segment, Transcript, WindowResult, Word
from transcription.jobs.job import JobStatus, NewJob, Recording
from transcription.jobs.policy import LONG_WAIT_SECONDS
from transcription.jobs.recordings.folder import FolderStore
from transcription.jobs.recordings.results import ResultFiles
from transcription.jobs.store.base import JobStore
from transcription.jobs.store.redis.steps import PREFIX
from transcription.jobs.store.redis.store import RedisStore
from transcription.jobs.store.sqlite import queries
from transcription.jobs.store.sqlite.database import DATABASE_NAME
from transcription.jobs.store.sqlite.store import SqliteStore

WINDOWS_OF_AN_HOUR = 120
CALLERS, JOBS_OF_CALLER = 50, 1000  # of the long queue that is polled
TTL = 1e6  # seconds, longer than the measurement
HOURS = 50  # jobs of an hour whose memory is measured
HOUR_SECONDS = 3600.0
PHRASE = Segment(
    0.0, 3.0, " a phrase of ten words or so, as they come in speech", tuple(range(12)), -0.2, 1.2, 0.0, 0.0
)
WINDOW = PlacedResult(Timeline((Span(0, 480_000),)), WindowResult("en", 1.0, (PHRASE,) * 8))
EXPLAINED = ("SHOWN_JOB", "CLAIM", "AHEAD", "LATEST_SPEEDS", "CLAIM_DELIVERY", "EXPIRE_JOBS", "EXPIRE_RESULTS")

Call = Callable[[], Awaitable[Any]]


async def main() -> None:
    """Run the measurement."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=10_000)
    parser.add_argument("--unfinished", type=int, default=1_000)
    parser.add_argument("--folder", type=Path, help="a folder on the disk to measure; the default is a temporary one")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=args.folder) as name:
        folder = Path(name)
        print("SQLite")
        store = SqliteStore(folder, result_ttl=TTL)
        await fill(store, args.jobs, args.unfinished)
        await measure(store, args.jobs)
        await store.close()
        explain(folder / DATABASE_NAME)
        print("Redis, appendfsync always")
        port = free_port()
        server = redis_member(folder, port)
        server.start()
        try:
            url = f"redis://127.0.0.1:{port}/0"
            shared = RedisStore(url, result_ttl=TTL)
            empty = await used_memory(url)
            await fill(shared, args.jobs, args.unfinished)
            print(
                f"memory: {(await used_memory(url) - empty) / args.jobs:.0f} bytes per job without windows and result"
            )
            before = await used_memory(url)
            await keep_windows(shared)
            print(f"memory: {(await used_memory(url) - before) / 1024:.0f} KiB for the windows of an hour of audio")
            await measure(shared, args.jobs)
            await measure_server(shared, url, args.jobs)
            await shared.close()
            await measure_results(url, folder)
            await measure_polls(url)
        finally:
            server.kill()


async def fill(store: JobStore, jobs: int, unfinished: int) -> None:
    numbers = iter(range(jobs))
    await timed("submit", jobs, lambda: store.submit(new_job(f"{next(numbers)}")))
    for number in range(jobs - unfinished):
        await store.cancel(f"{number}")


async def measure(store: JobStore, jobs: int) -> None:
    chosen = random.Random(0)
    get: Call = lambda: store.get(f"{chosen.randrange(jobs)}")  # noqa: E731
    await timed("get", 5000, get)
    writer = asyncio.create_task(checkpoint_continuously(store))
    await timed("get, during continuous checkpoints", 5000, get)
    late = iter(range(300))
    await timed("submit, during continuous checkpoints", 300, lambda: store.submit(new_job(f"late {next(late)}")))
    writer.cancel()
    newest = (await store.list_jobs((), None, 1))[0]
    await timed("snapshot of the newest", 100, lambda: store.snapshot(newest.id))
    await timed("list_jobs, 50 of any status", 100, lambda: store.list_jobs((), None, 50))
    await timed("list_jobs, of a status without jobs", 20, lambda: store.list_jobs({JobStatus.FAILED}, None, 50))
    await timed("claim", 200, lambda: store.claim("measure"))
    await timed("recordings_in_use", 5, store.recordings_in_use)
    await timed("back_up", 3, store.back_up)
    long = Transcript("en", 1.0, 30_000.0, (PHRASE,) * 10_000, "demo")
    lease = await store.claim("measure")
    assert lease is not None
    await timed("complete, 10,000 segments", 1, lambda: store.complete(lease, long))
    await timed("result, 10,000 segments", 1, lambda: store.result(lease.id))


async def measure_server(store: RedisStore, url: str, jobs: int) -> None:
    """Print the CPU time of Redis's thread per operation, without the client and the disk."""
    lease = await store.claim("server")
    assert lease is not None
    chosen, numbers, positions = random.Random(1), iter(range(1000)), iter(range(1000))
    steps: dict[str, Call] = {
        "get": lambda: store.get(f"{chosen.randrange(jobs)}"),
        "list_jobs, 50": lambda: store.list_jobs((), None, 50),
        "submit": lambda: store.submit(new_job(f"server {next(numbers)}")),
        "renew": lambda: store.renew(lease),
        "checkpoint": lambda: store.checkpoint(lease, next(positions), WINDOW, None),
        "unsent, nothing due": lambda: store.unsent(0, idle=False),
        "recordings_in_use": store.recordings_in_use,
    }
    async with Redis.from_url(url) as redis:
        for name, call in steps.items():
            await redis.config_resetstat()
            for _ in range(200):
                await call()
            busy = (await redis.info("commandstats"))["cmdstat_evalsha"]["usec_per_call"]
            print(f"Redis, CPU time of {name}: {busy:.0f} us")


async def measure_polls(url: str) -> None:
    """Print what the status of a queued job costs Redis's thread while many callers have many jobs."""
    async with Redis.from_url(url) as redis:
        await redis.flushall()
        for where, older in (("just queued", 0.0), ("that have waited", 2 * LONG_WAIT_SECONDS)):
            store = RedisStore(url, result_ttl=TTL, clock=lambda older=older: time.time() + older)  # type: ignore[misc]
            if not older:
                await queue_many(store)
            for name, job in (("first", 0), ("last", CALLERS * JOBS_OF_CALLER - 1)):
                await redis.config_resetstat()
                for _ in range(20):
                    await store.snapshot(f"{job}")
                stats = await redis.info("commandstats")
                commands = sum(command["calls"] for command in stats.values()) // 20
                busy = stats["cmdstat_evalsha"]["usec_per_call"]
                jobs = f"{CALLERS * JOBS_OF_CALLER} queued jobs {where}"
                print(f"Redis, CPU time of snapshot of the {name} of {jobs}: {busy:.0f} us, {commands} commands")
            await store.close()


async def queue_many(store: RedisStore) -> None:
    """JOBS_OF_CALLER jobs for each of CALLERS."""
    for first in range(0, CALLERS * JOBS_OF_CALLER, CALLERS):
        numbers = range(first, first + CALLERS)
        await asyncio.gather(
            *(store.submit(replace(new_job(f"{number}"), caller=f"caller {number % CALLERS}")) for number in numbers)
        )
        if first // CALLERS % 2:  # every other one of each caller is short
            await asyncio.gather(*(store.examined(f"{number}", 60.0) for number in numbers))


async def keep_windows(store: JobStore) -> None:
    lease = await store.claim("windows")
    assert lease is not None
    for position in range(WINDOWS_OF_AN_HOUR):
        await store.checkpoint(lease, position, WINDOW, None)


async def measure_results(url: str, folder: Path) -> None:
    """Print the memory of Redis for completed jobs of an hour, with their transcripts in it and in a folder."""
    settings = Settings(_env_file=None, temp_dir=folder / "uploads")
    files = ResultFiles(FolderStore(folder / "spool", settings), settings)
    for with_words in (False, True):
        for where, place in (("in Redis", None), ("in a folder", files)):
            store = RedisStore(url, result_ttl=TTL, files=place)
            before = await used_memory(url)
            for number in range(HOURS):
                job = f"{where} {with_words} {number}"
                await store.submit(new_job(job))
                lease = await store.claim("hours", job)
                assert lease is not None
                await store.complete(lease, hour_of_speech(number, with_words=with_words))
            async with Redis.from_url(url) as redis:
                result = (await redis.hget(f"{PREFIX}:job:{job}", "result")).decode()
                keys = [f"{PREFIX}:job:{job}", f"{PREFIX}:result:{result}"]
                usage = [await redis.memory_usage(key, samples=0) for key in keys]
            growth = (await used_memory(url) - before) / HOURS / 1024
            kind = "with words" if with_words else "without words"
            print(
                f"memory: {growth:.1f} KiB per completed job of an hour {kind}, its transcript {where}; MEMORY USAGE: "
                f"job {usage[0]}, result {usage[1]} bytes"
            )
            await store.close()


def hour_of_speech(number: int, *, with_words: bool) -> Transcript:
    """An hour of a lecture, another one for each number. The words are those of this repository's documents."""
    chance = random.Random(number)
    documents = " ".join(path.read_text() for path in sorted((ROOT / "docs").glob("*.md")))
    spoken = re.findall(r"[A-Za-z']+[.,]?", documents)
    segments, time_, at = [], 0.0, chance.randrange(len(spoken))
    while time_ < HOUR_SECONDS:
        said = [spoken[(at + place) % len(spoken)] for place in range(chance.randrange(5, 18))]
        at += len(said)
        words, start = [], time_
        for word in said:
            end = round(time_ + chance.uniform(0.2, 0.6), 2)
            words.append(Word(f" {word}", time_, end, chance.uniform(0.5, 1.0)))
            time_ = end
        tokens = tuple(token for word in said for token in tokens_of(word))
        doubt, ratio, silence = -chance.uniform(0.05, 0.5), chance.uniform(1.2, 1.8), chance.uniform(0, 0.1)
        text = "".join(f" {word}" for word in said)
        seek = int(start * 100)
        segments.append(
            Segment(start, time_, text, tokens, doubt, ratio, silence, 0.0, seek, tuple(words) if with_words else ())
        )
    return Transcript("en", 1.0, time_, tuple(segments), "demo", word_timestamps=with_words)


def tokens_of(word: str) -> tuple[int, ...]:
    """As many as a model would have for a word on average, always the same for one word."""
    return tuple(zlib.crc32(part.encode()) % 50_000 for part in (word[:6], word[6:]) if part)


async def used_memory(url: str) -> int:
    """The memory that Redis uses, bytes."""
    async with Redis.from_url(url) as redis:
        found: int = (await redis.info("memory"))["used_memory"]
        return found


async def checkpoint_continuously(store: JobStore) -> None:
    lease = await store.claim("writer")
    assert lease is not None
    position = 0
    while True:
        await store.checkpoint(lease, position, WINDOW, None)
        position += 1


async def timed(what: str, times: int, call: Call) -> None:
    taken = []
    for _ in range(times):
        begun = time.perf_counter()
        await call()
        taken.append((time.perf_counter() - begun) * 1000)
    taken.sort()
    print(f"{what}: median {taken[times // 2]:.2f} ms, p99 {taken[times * 99 // 100]:.2f} ms ({times} calls)")


def new_job(job_id: str) -> NewJob:
    request = TranscriptionRequest(DecodeOptions("demo"), VadOptions())
    return NewJob(job_id, f"work of {job_id}", request, Recording(job_id, "0" * 64, 1), "json", "")


def explain(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        for name in EXPLAINED:
            query = getattr(queries, name)
            values = dict.fromkeys(re.findall(r":(\w+)", query), 0) or (0,) * query.count("?")
            print(name)
            for *_, step in connection.execute(f"EXPLAIN QUERY PLAN {query}", values):
                print(f"    {step}")


if __name__ == "__main__":
    asyncio.run(main())
