"""Clients that send load and measure latencies, and a probe that watches the service meanwhile."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import cycle, islice
from pathlib import Path

import httpx

from benchmarks.clips import Clip
from benchmarks.evaluate.systems import cpu_seconds
from benchmarks.peers import Contender
from tests.support.service import UNSHARED, LocalService

REQUEST_TIMEOUT = 7200.0  # seconds; enough for the longest clip, queued behind others on a slow machine
STOP_STEP = 0.2  # seconds between checks of the stop event
PROBE_INTERVAL = 0.5  # seconds; a response costs the service a few milliseconds of the cores being measured
API, RUNNER = "transcription", "whisper_runner"  # names of the services
KIB = 1024


@dataclass(frozen=True, slots=True)
class Load:
    """The result of one load.

    seconds: from the first request to the last response. latencies: per request, seconds. cpu: CPU-seconds of the
    contender.
    """

    seconds: float
    latencies: tuple[float, ...]
    cpu: float


def run_load(contender: Contender, clips: Sequence[Clip], beam: int, *, clients: int, requests: int) -> Load:
    """Send `requests` requests, `clients` of them at a time, each with the next clip. Raises the contender's errors."""
    never = threading.Event()
    cpu, started = contender.cpu_seconds(), time.perf_counter()
    with ThreadPoolExecutor(clients) as pool:
        sent = islice(cycle(clips), requests)
        latencies = tuple(pool.map(lambda clip: timed(contender, clip, beam, never), sent))
    seconds = time.perf_counter() - started
    return Load(seconds, latencies, contender.cpu_seconds() - cpu)


def run_mix(contender: Contender, long: Clip, short: Sequence[Clip], beam: int, requests: int) -> list[float]:
    """Latencies of short clips, seconds, sent in sequence while the long one is transcribed, which is then cancelled.

    The long one is sent again as often as it ends.
    """
    stop = threading.Event()

    def keep_busy() -> None:
        while not stop.is_set():
            contender.transcribe(long, beam, stop)

    with ThreadPoolExecutor(1) as pool:
        background = pool.submit(keep_busy)
        try:
            time.sleep(1.0)  # the long file is decoding by now
            return [timed(contender, clip, beam, threading.Event()) for clip in islice(cycle(short), requests)]
        finally:
            stop.set()
            background.result()


def timed(contender: Contender, clip: Clip, beam: int, stop: threading.Event) -> float:
    """The latency of one request, seconds."""
    started = time.perf_counter()
    contender.transcribe(clip, beam, stop)
    return time.perf_counter() - started


class Service:
    """The service over HTTP, including the upload. root: the id of its first process."""

    def __init__(self, url: str, root: int) -> None:
        self._url = url
        self._root = root

    def cpu_seconds(self) -> float:
        return cpu_seconds(self._root)

    def transcribe(self, clip: Clip, beam: int, stop: threading.Event) -> str:
        """The transcript. Raises httpx.HTTPStatusError."""
        return asyncio.run(self._transcribe(clip, beam, stop))

    async def _transcribe(self, clip: Clip, beam: int, stop: threading.Event) -> str:
        async with httpx.AsyncClient(base_url=self._url, timeout=REQUEST_TIMEOUT, headers=UNSHARED) as client:
            request = asyncio.ensure_future(self._post(client, clip, beam))
            while not request.done() and not stop.is_set():
                await asyncio.wait([request], timeout=STOP_STEP)
            if not request.done():
                request.cancel()  # closes the connection, which removes the windows from the queue
                with contextlib.suppress(asyncio.CancelledError):
                    await request
                return ""
            return request.result()

    async def _post(self, client: httpx.AsyncClient, clip: Clip, beam: int) -> str:
        # AsyncClient accepts only asynchronous files, so the content is read beforehand; the time is negligible.
        content = clip.path.read_bytes()
        response = await client.post(
            "/transcribe", files={"file": (clip.path.name, content)}, data={"beam_size": str(beam)}
        )
        return str(response.raise_for_status().json()["text"])


@dataclass(slots=True)
class Probe:
    """Measurements of the service under load.

    work: the current load, or "" while other contenders are measured, when nothing is recorded.
    latencies: by path, seconds. memory: peak of the API process by load, bytes.
    """

    work: str = ""
    latencies: dict[str, list[float]] = field(default_factory=dict)
    memory: dict[str, int] = field(default_factory=dict)


@contextlib.contextmanager
def probing(service: LocalService, interval: float = PROBE_INTERVAL) -> Iterator[Probe]:
    """Send requests to routes that need no model and watch the API process's memory until the block ends.

    interval: seconds between requests.
    """
    probe, stop = Probe(), threading.Event()
    thread = threading.Thread(target=_probe, args=(service, probe, stop, interval), daemon=True)
    thread.start()
    try:
        yield probe
    finally:
        stop.set()
        thread.join()


def _probe(service: LocalService, probe: Probe, stop: threading.Event, interval: float) -> None:
    api = service_processes(service.process.pid, API)
    with httpx.Client(base_url=service.url, timeout=REQUEST_TIMEOUT) as client:
        paths = probe_paths(client)
        while not stop.wait(interval):
            work = probe.work
            if not work:
                continue
            for name, path in paths.items():
                started = time.perf_counter()
                client.get(path).raise_for_status()
                probe.latencies.setdefault(name, []).append(time.perf_counter() - started)
            probe.memory[work] = max(probe.memory.get(work, 0), resident(api))


def probe_paths(client: httpx.Client) -> dict[str, str]:
    """The paths to probe, by name. /status is that of a job that fails immediately and so does not use the model."""
    answer = client.post("/transcribe", files={"file": ("broken.mp3", b"ID3")}, data={"async": "true"})
    return {"/health": "/health", "/status": str(answer.raise_for_status().json()["status_url"])}


def service_processes(root: int, name: str) -> list[int]:
    """The processes of one BentoML service under the process `root`; none without /proc."""
    mark = f"--service-name\0{name}\0"  # in the command line
    return [pid for pid in descendants(root) if mark in _command(pid)]


def descendants(root: int) -> list[int]:
    """The process `root` and its descendants."""
    pids = [int(entry.name) for entry in Path("/proc").glob("[0-9]*")]
    parents = {pid: int(_status(pid).get("PPid", "0")) for pid in pids}
    return [pid for pid in pids if _descends(pid, root, parents)]


def resident(pids: Iterable[int]) -> int:
    """The resident memory of processes, bytes."""
    return sum(int(_status(pid).get("VmRSS", "0 kB").split()[0]) * KIB for pid in pids)


def _descends(pid: int, root: int, parents: Mapping[int, int]) -> bool:
    while pid in parents and pid != root:
        pid = parents[pid]
    return pid == root


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text(errors="replace")
    except OSError:
        return ""


def _status(pid: int) -> dict[str, str]:
    """The fields of /proc/PID/status; empty if the process has ended."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text(errors="replace").splitlines()
    except OSError:
        return {}
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}
