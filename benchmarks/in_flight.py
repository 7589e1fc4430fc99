"""The memory of an API without a model while hundreds of synchronous requests are in flight.

    python -m benchmarks.in_flight [--requests 500] [--seconds 3 60] [--format wav]

A real API sends windows to a fixed-cost runner. For each length of clip all requests are sent at once, each on a
connection of its own: WAV files, which need no decoder, or others. The memory of the API's processes and their children
is their proportional set size, sampled until the last answer, or until --most seconds have passed: requests without an
answer are then aborted. Those that are refused are counted, not repeated.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import psutil  # type: ignore[import-untyped]

from benchmarks.clips import speech, write_clip
from benchmarks.report import table
from tests.support.media_files import convert
from tests.support.pool import TOKEN, runner_processes
from tests.support.service import UNSHARED, LocalService, local_service
from transcription.system.supervision import WORKER

MIB = 1024 * 1024
SAMPLE_SECONDS = 0.5
QUIET_SECONDS = 3.0  # after the start, and between two lengths
BATCH, BATCH_SECONDS = 64, 2.0
NO_QUEUE_LIMIT = "86400"


@dataclass
class Memory:
    """By kind of process, MiB. peak: when the sum was largest. in_flight: requests without an answer then."""

    peak: dict[str, float] = field(default_factory=dict)
    in_flight: int = 0

    @property
    def total(self) -> float:
        return sum(self.peak.values())


class Requests:
    """answers: by status, 0 for a broken connection. refusals: by message. in_flight: sent and not answered."""

    def __init__(self, url: str) -> None:
        self._url = url
        self.answers: Counter[int] = Counter()
        self.refusals: Counter[str] = Counter()
        self.in_flight = 0

    async def send(self, session: aiohttp.ClientSession, clip: Path) -> None:
        """One request, on a connection of its own."""
        form = aiohttp.FormData()
        form.add_field("language", "en")
        form.add_field("file", clip.read_bytes(), filename=clip.name)
        self.in_flight += 1
        try:
            async with session.post(f"{self._url}/transcribe", data=form, headers=UNSHARED) as response:
                answer = await response.json()
                self.answers[response.status] += 1
                if not response.ok:
                    self.refusals[answer["message"]] += 1
        except aiohttp.ClientError:
            self.answers[0] += 1
        finally:
            self.in_flight -= 1


def processes(service: LocalService) -> dict[str, float]:
    """Proportional set size by kind of process, MiB."""
    found: dict[str, float] = defaultdict(float)
    supervisor = psutil.Process(service.process.pid)
    for process in [supervisor, *supervisor.children(recursive=True)]:
        try:
            found[_kind(process, supervisor)] += process.memory_full_info().pss / MIB
        except psutil.Error:  # it has just ended
            continue
    return dict(found)


def _kind(process: psutil.Process, supervisor: psutil.Process) -> str:
    if process.pid == supervisor.pid:
        return "supervisor"
    command = " ".join(process.cmdline())
    if "ffmpeg" in process.name():
        return "ffmpeg"
    if "sandbox.launcher" in command:  # its children have its command line until they are ffmpeg
        return "launcher and inspectors"
    return "API" if WORKER.decode() in command else "other"


async def measure(service: LocalService, clip: Path, count: int, most: float) -> tuple[Memory, Requests, float]:
    """The peak while `count` requests are served, the requests, and the seconds that they took, at most `most`."""
    memory, requests, started = Memory(), Requests(service.url), time.monotonic()
    timeout = aiohttp.ClientTimeout(total=None)
    connector = aiohttp.TCPConnector(limit=0, force_close=True)
    async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:
        sending = asyncio.gather(*(requests.send(session, clip) for _ in range(count)))
        while not sending.done():
            now = await asyncio.to_thread(processes, service)
            if sum(now.values()) > memory.total:
                memory.peak, memory.in_flight = now, requests.in_flight
            await asyncio.wait((sending,), timeout=SAMPLE_SECONDS)
            if time.monotonic() - started > most:
                sending.cancel()
        with suppress(asyncio.CancelledError):
            await sending
    return memory, requests, time.monotonic() - started


def rows_of(idle: dict[str, float], measured: Sequence[tuple[str, Memory, Requests, float]]) -> list[list[str]]:
    """One row for the idle service and for each length."""
    kinds = sorted({*idle, *(kind for _, memory, _, _ in measured for kind in memory.peak)})
    rows = [["", "MiB", *kinds, "in flight then", "answers", "seconds"]]
    rows.append(["idle", f"{sum(idle.values()):.0f}", *(f"{idle.get(kind, 0):.0f}" for kind in kinds), "0", "", ""])
    for name, memory, requests, seconds in measured:
        parts = [f"{memory.peak.get(kind, 0):.0f}" for kind in kinds]
        answers = ", ".join(f"{number} x {status}" for status, number in sorted(requests.answers.items()))
        rows.append([name, f"{memory.total:.0f}", *parts, str(memory.in_flight), answers, f"{seconds:.0f}"])
    return rows


async def main(options: argparse.Namespace) -> None:
    """Run the measurement and print its table."""
    with tempfile.TemporaryDirectory(prefix="in-flight-") as name:
        folder = Path(name)
        pauses = ("--seconds", str(BATCH_SECONDS), "--batch", str(BATCH), "--max-queue-seconds", NO_QUEUE_LIMIT)
        with runner_processes(folder / "runners", 1, *pauses) as runners:
            # One process sends everything, and may pause an upload for long.
            settings = {"RUNNER_URL": runners.url, "RUNNER_TOKEN": TOKEN, "UPLOAD_TIMEOUT": "600"}
            with local_service(settings, folder / "log") as service:
                await asyncio.sleep(QUIET_SECONDS)
                idle, measured = processes(service), []
                for seconds in options.seconds:
                    clip = write_clip(speech(), seconds, folder).path
                    if options.format != "wav":
                        clip = convert(clip, clip.with_suffix(f".{options.format}"))
                    memory, requests, taken = await measure(service, clip, options.requests, options.most)
                    measured.append((f"{options.requests} x {seconds:g} s", memory, requests, taken))
                    print(*(f"{number} x {reason}" for reason, number in requests.refusals.items()), sep="\n")
                    await asyncio.sleep(QUIET_SECONDS)
    head, *rows = rows_of(idle, measured)
    print(table(tuple(head), [tuple(row) for row in rows]))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--requests", type=int, default=500)
    parser.add_argument("--seconds", type=float, nargs="+", default=[3.0, 60.0])
    parser.add_argument("--format", choices=("wav", "flac", "mp3"), default="wav")
    parser.add_argument("--most", type=float, default=1800.0)
    asyncio.run(main(parser.parse_args()))
    sys.exit(0)
