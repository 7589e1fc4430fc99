"""Measure how throughput scales with Celery workers, and the cost of a status with many jobs in the store.

`python -m benchmarks.scale` starts Redis, one API replica and 1, 2 and 4 workers, in turn. A worker takes a fixed
time per window, so that the result does not depend on the cores of this machine. It prints figures and asserts nothing.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx

from benchmarks.clips import speech, write_clip
from benchmarks.jobs import percentile, status_latencies
from benchmarks.report import table
from benchmarks.store import new_job
from tests.support.cluster import Cluster, local_cluster
from tests.support.service import UNSHARED
from transcription.jobs.store.redis.store import RedisStore

WORKERS = (1, 2, 4)
WINDOW_SECONDS = 0.5  # a worker's time per window
CLIP_SECONDS = 60  # three windows
TIMEOUT = 120.0
SENDERS = 4
STORED = (100, 10_000)
REQUESTS = 1000


def main() -> int:
    """Run the measurement; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=40, help="number of one-minute recordings")
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    times: dict[int, list[float]] = {workers: [] for workers in WORKERS}
    with tempfile.TemporaryDirectory(prefix="bench-scale-") as name:
        folder = Path(name)
        clip = write_clip(speech(), CLIP_SECONDS, folder).path
        for number in range(arguments.rounds):
            for workers in WORKERS:
                place = folder / f"{number}-{workers}"
                place.mkdir()
                with local_cluster(
                    place, environment(), apis=1, workers=workers, app="benchmarks.fixed_cost_worker"
                ) as cluster:
                    times[workers].append(seconds_for(cluster.urls[0], clip, arguments.jobs))
        place = folder / "stored"
        place.mkdir()
        with local_cluster(place, environment(), apis=1, workers=0) as cluster:
            reads = [(stored, *read(cluster, stored)) for stored in STORED]
    print(throughput_table(times, arguments.jobs))
    rows = [(f"{stored}", *(f"{1000 * value:.2f} ms" for value in figures)) for stored, *figures in reads]
    print(table(("stored jobs, half of them queued", "GET /status, median", "p99", "of which Redis"), rows))
    return 0


def environment() -> dict[str, str]:
    """The settings of the cluster."""
    return {"WHISPER_MODEL": "demo", "JOB_CONCURRENCY": "4", "FIXED_WINDOW_SECONDS": str(WINDOW_SECONDS)}


def seconds_for(url: str, clip: Path, jobs: int) -> float:
    """Seconds from the first submission to the end of the last job."""
    content = clip.read_bytes()

    def submit(_: int) -> str:
        form = {"async": "true", "language": "en"}
        answer = httpx.post(
            f"{url}/transcribe", files={"file": (clip.name, content)}, data=form, headers=UNSHARED, timeout=TIMEOUT
        )
        return str(answer.raise_for_status().json()["job_id"])

    started = time.perf_counter()
    with ThreadPoolExecutor(SENDERS) as pool:
        accepted = list(pool.map(submit, range(jobs)))
    unfinished = {"status": "queued,processing", "limit": "1"}
    while httpx.get(f"{url}/jobs", params=unfinished, timeout=TIMEOUT).json()["jobs"]:
        time.sleep(0.05)
    seconds = time.perf_counter() - started
    states = [httpx.get(f"{url}/status/{job}", timeout=TIMEOUT).json()["status"] for job in accepted]
    assert states == ["completed"] * jobs, states
    return seconds


def throughput_table(times: dict[int, list[float]], jobs: int) -> str:
    """Medians, their ranges, and the ratio to one worker."""
    one = statistics.median(times[WORKERS[0]])
    rows = []
    for workers, seconds in times.items():
        median = statistics.median(seconds)
        spread = f"{min(seconds):.1f} to {max(seconds):.1f} s"
        rows.append((f"{workers}", f"{median:.1f} s", spread, f"{60 * jobs / median:.0f}", f"{one / median:.2f}"))
    return table(("workers", "median", "spread", "jobs per minute", "ratio to one worker"), rows)


def read(cluster: Cluster, stored: int) -> tuple[float, float, float]:
    """The median and the 99th percentile of GET /status, and the median of its call to Redis, seconds."""
    jobs = asyncio.run(fill(cluster.redis_url, stored))
    status_latencies(cluster.urls[0], jobs, 50)  # the first requests are slower
    latencies = status_latencies(cluster.urls[0], jobs, REQUESTS)
    return statistics.median(latencies), percentile(latencies, 0.99), asyncio.run(in_redis(cluster.redis_url, jobs))


async def fill(url: str, stored: int) -> list[str]:
    """Store this many jobs, every other one cancelled. Returns their ids."""
    store = RedisStore(url, result_ttl=1e6)
    jobs = [f"{stored}-{number}" for number in range(stored)]
    for number, job in enumerate(jobs):
        await store.submit(new_job(job))
        await store.examined(job, 60.0)
        if number % 2:
            await store.cancel(job)
    await store.close()
    return jobs


async def in_redis(url: str, jobs: Sequence[str]) -> float:
    """The median of `snapshot`, which a status needs, for queued jobs; seconds."""
    store = RedisStore(url, result_ttl=1e6)
    waiting = jobs[-2::-2][:REQUESTS]
    times = []
    for job in waiting:
        started = time.perf_counter()
        await store.snapshot(job)
        times.append(time.perf_counter() - started)
    await store.close()
    return statistics.median(times)


if __name__ == "__main__":
    sys.exit(main())
