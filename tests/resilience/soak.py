"""Send good and hostile requests to the real service for a while, and see what it keeps.

`python -m tests.resilience.soak` does so for ten minutes; `--requests 500` for as many requests. It fails on
answers that should
not be, and on files, processes and descriptors that are left behind; how much memory is too much is for the reader to
say.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice, takewhile
from pathlib import Path

import httpx
import numpy as np
import psutil  # type: ignore[import-untyped]

from benchmarks.clips import speech, write_clip
from benchmarks.load import API, RUNNER, descendants, resident, service_processes
from benchmarks.report import table
from tests.resilience.crowd import OF_A_CROWD, Crowd, send_crowd, store_jobs
from tests.resilience.traffic import BUSY, REQUEST_TIMEOUT, File, Files, Kind, Request, is_expected, requests, send
from tests.support.hostile_files import Canary, make
from tests.support.service import UNSHARED, LocalService, local_service
from transcription.core.audio import SAMPLE_RATE
from transcription.core.settings import Settings
from transcription.media.intake.uploads_folder import UPLOAD_NAME

LENGTHS = (1.0, 3.0, 11.0, 29.0, 60.0, 90.0)  # seconds
MAX_DURATION = "120"  # seconds; what is longer among the hostile files is refused
NOISE_SECONDS = 5
ROUND_SECONDS = 60.0
SETTLE_SECONDS = 3.0
READINGS = 3
CROWD_SECONDS = 20.0
# Connections between the services and readers of the database are kept for a while, and not always as many.
DESCRIPTORS_MORE = 8
NOWHERE = "http://127.0.0.1:9/"  # port 9, discard: nothing listens

Outcomes = Counter[tuple[Kind, str]]


@dataclass(frozen=True, slots=True)
class Reading:
    """What the service holds when nothing is asked of it. api, runner: megabytes of memory."""

    sent: int
    api: float
    runner: float
    processes: int
    descriptors: int


async def send_all(url: str, several: Iterator[Request], clients: int) -> Outcomes:
    """Outcomes by kind, with so many requests in flight."""
    outcomes: Outcomes = Counter()
    async with httpx.AsyncClient(base_url=url, timeout=REQUEST_TIMEOUT, headers=UNSHARED) as client:

        async def one_after_the_other() -> None:
            for request in several:
                outcomes[request.kind, await send(client, request)] += 1

        await asyncio.gather(*(one_after_the_other() for _ in range(clients)))
    return outcomes


def rounds(endless: Iterator[Request], count: int | None, step: int, minutes: float) -> Iterator[Iterator[Request]]:
    """The requests between two readings: `step` of `count`, or those of a minute."""
    if count is not None:
        for start in range(0, count, step):
            yield islice(endless, min(step, count - start))
        return
    end = time.monotonic() + 60 * minutes
    while (now := time.monotonic()) < end:
        until = min(end, now + ROUND_SECONDS)
        yield takewhile(lambda _, until=until: time.monotonic() < until, endless)  # type: ignore[misc]


def read(service: LocalService, sent: int) -> Reading:
    """Memory is the median of a few readings, since what was freed goes back by and by."""
    root = service.process.pid
    api, runner = [], []
    for _ in range(READINGS):
        time.sleep(SETTLE_SECONDS / READINGS)
        api.append(resident(service_processes(root, API)) / 1e6)
        runner.append(resident(service_processes(root, RUNNER)) / 1e6)
    pids = descendants(root)
    descriptors = sum(psutil.Process(pid).num_fds() for pid in pids if psutil.pid_exists(pid))
    return Reading(sent, statistics.median(api), statistics.median(runner), len(pids), descriptors)


def make_files(folder: Path) -> Files:
    """Recordings: speech of several lengths, noise, and all that tests.support.hostile_files knows."""
    source = speech()
    spoken = [write_clip(source, seconds, folder).path for seconds in LENGTHS]
    noise = np.random.default_rng(0).normal(0, 3000, NOISE_SECONDS * SAMPLE_RATE).astype(np.int16)
    header = spoken[0].read_bytes()[:44]
    corpus = folder / "hostile"
    corpus.mkdir()
    return Files(
        speech=tuple(File(path.name, path.read_bytes()) for path in spoken),
        noise=(File("noise.wav", header + noise.tobytes()),),  # decoders read past a length that is too small
        hostile=tuple(File(each.name, each.path.read_bytes()) for each in make(corpus, Canary(spoken[0], NOWHERE))),
    )


def soak(environment: dict[str, str], folder: Path, arguments: argparse.Namespace) -> tuple[list[Reading], Outcomes]:
    """Readings after each round and all outcomes; prints on its way."""
    print("Making the files ...", flush=True)
    endless = requests(make_files(folder), arguments.seed)
    outcomes: Outcomes = Counter()
    readings: list[Reading] = []
    unexpected: Counter[str] = Counter()
    with local_service(environment, folder / "service.log") as service:
        for several in rounds(endless, arguments.requests, arguments.step, arguments.minutes):
            outcomes += asyncio.run(send_all(service.url, several, arguments.clients))
            if arguments.crowd:
                crowd = crowd_answers(service.url, folder)
                print(f"crowd: {dict(crowd)}", flush=True)
                unexpected += {name: number for name, number in crowd.items() if name not in OF_A_CROWD}
            readings.append(reading := read(service, outcomes.total()))
            print(
                f"{reading.sent:6} requests  API {reading.api:.0f} MB  runner {reading.runner:.0f} MB  "
                f"{reading.processes} processes  {reading.descriptors} descriptors",
                flush=True,
            )
    if unexpected:
        raise SystemExit(f"The crowd was answered as it should not be: {dict(unexpected)}")
    return readings, outcomes


def crowd_answers(url: str, folder: Path) -> Counter[str]:
    """What a crowd of readers, watchers and clients that never read is answered; its jobs are deleted again."""
    jobs = asyncio.run(store_jobs(Settings(jobs_dir=folder / "jobs")))
    answers = asyncio.run(send_crowd(url, jobs, Crowd(), CROWD_SECONDS))
    for job in (jobs.finished, *jobs.waiting):
        httpx.delete(f"{url}/jobs/{job}", timeout=REQUEST_TIMEOUT)
        httpx.delete(f"{url}/jobs/{job}", timeout=REQUEST_TIMEOUT)  # a job that waited is now cancelled
    return answers


def memory_table(readings: list[Reading]) -> str:
    """Memory and what else is held, with ratios to the first reading."""
    first = readings[0]
    rows = [
        (
            str(each.sent),
            f"{each.api:.0f}",
            f"{each.api / first.api:.3f}",
            f"{each.runner:.0f}",
            f"{each.runner / first.runner:.3f}",
            str(each.processes),
            str(each.descriptors),
        )
        for each in readings
    ]
    head = ("requests", "API, MB", "of the first", "runner, MB", "of the first", "processes", "descriptors")
    return table(head, rows)


def outcome_table(outcomes: Outcomes) -> str:
    """How requests of each kind ended, and the share that ended as it should not."""
    rows = []
    for kind in Kind:
        ended = {outcome: number for (of, outcome), number in sorted(outcomes.items()) if of is kind}
        total = sum(ended.values())
        wrong = sum(number for outcome, number in ended.items() if not is_expected(kind, outcome))
        share = f"{wrong / total:.1%}" if total else ""
        rows.append((kind, str(total), ", ".join(f"{number} {name}" for name, number in ended.items()), share))
    return table(("requests", "number", "outcomes", "not as they should"), rows)


def problems(readings: list[Reading], outcomes: Outcomes, left: list[str]) -> list[str]:
    """What should not be."""
    first, last = readings[0], readings[-1]
    found = [
        f"{number} x {kind}: {outcome}"
        for (kind, outcome), number in sorted(outcomes.items())
        if not is_expected(kind, outcome) and outcome != BUSY
    ]
    if left:
        found.append(f"files left: {', '.join(left)}")
    if last.processes > first.processes:
        found.append(f"{last.processes - first.processes} more processes than after the first round")
    if last.descriptors > first.descriptors + DESCRIPTORS_MORE:
        found.append(f"{last.descriptors - first.descriptors} more descriptors than after the first round")
    return found


def left_files(folder: Path) -> list[str]:
    """Uploads and files of jobs, all of which have ended."""
    places = (folder / "uploads", folder / "jobs" / "uploads", folder / "jobs" / "spool")
    found = [path for place in places if place.is_dir() for path in place.iterdir() if path.is_file()]
    return [str(path.relative_to(folder)) for path in found if UPLOAD_NAME.search(path.name) or "spool" in path.parts]


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--model", default="demo", help="a name of GET /models (%(default)s)")
    parser.add_argument("--model-dir", type=Path, help="WHISPER_MODEL_DIR")
    parser.add_argument("--minutes", type=float, default=10, help="how long, read every minute (%(default)s)")
    parser.add_argument("--requests", type=int, help="how many, in place of how long")
    parser.add_argument("--step", type=int, default=50, help="requests between readings, with --requests")
    parser.add_argument("--clients", type=int, default=4, help="requests in flight (%(default)s)")
    parser.add_argument("--crowd", action="store_true", help="in each round, a thousand clients that only read")
    parser.add_argument("--seed", type=int, default=0, help="of what is sent (%(default)s)")
    return parser.parse_args()


def main() -> int:
    """Returns the exit code."""
    arguments = parse()
    with tempfile.TemporaryDirectory(prefix="soak-") as name:
        folder = Path(name)
        environment = {
            "WHISPER_MODEL": arguments.model,
            "TEMP_DIR": f"{name}/uploads",
            "CACHE_DIR": f"{name}/cache",
            "MAX_DURATION": MAX_DURATION,
        }
        if arguments.model_dir:
            environment["WHISPER_MODEL_DIR"] = str(arguments.model_dir)
        readings, outcomes = soak(environment, folder, arguments)
        left = left_files(folder)
    found = problems(readings, outcomes, left)
    print(f"\n{memory_table(readings)}\n\n{outcome_table(outcomes)}\n")
    print("\n".join(found) if found else "Nothing was left behind, and every answer was as it should be.")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
