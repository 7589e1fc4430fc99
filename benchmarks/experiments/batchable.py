"""Compare BentoML's `batchable=True` with our scheduler under the same load.

`python -m benchmarks.experiments.batchable` takes about two minutes. Its output is in
docs/decisions/0007-own-scheduler.md.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field

import httpx
import numpy as np

from benchmarks.experiments.batchable_service import CALL_SECONDS, MAX_BATCH, WINDOW_SECONDS
from benchmarks.report import table
from runners.batching.device import Device
from runners.batching.scheduler import Scheduler
from runners.decode.engine import WindowTask
from tests.support.service import ROOT, free_port
from transcription.core.options import DecodeOptions, Ticket
from transcription.core.transcript import WindowResult

BURST = 64
SINGLE_BEFORE, SINGLE_AFTER = 12, 50  # BentoML's dispatcher is trained on the first eleven requests
PATIENT_MS, IMPATIENT_MS = 60_000, 2_000
START_SECONDS = 60.0
SLOTS = 2
REFUSED = 503


@dataclass(frozen=True, slots=True)
class Answer:
    """One request. batch: the size of its batch. at_once: batches on the device then. Both are 0 if it was refused."""

    seconds: float
    batch: int = 0
    at_once: int = 0


Ask = Callable[[int], Awaitable[Answer]]


@dataclass(slots=True)
class Findings:
    """Answers to single requests, to a burst, and to single requests after it."""

    before: Sequence[Answer] = ()
    burst: Sequence[Answer] = ()
    after: Sequence[Answer] = ()

    def row(self, name: str) -> tuple[str, ...]:
        refused = [answer for answer in self.burst if not answer.batch]
        return (
            name,
            f"{median(self.before):.2f}",
            f"{max(answer.seconds for answer in self.burst):.1f}",
            str(len(refused)),
            str(max(answer.at_once for answer in self.burst)),
            f"{self.after[0].seconds:.2f}",
            f"{self.after[-1].seconds:.2f}",
        )


def median(answers: Sequence[Answer]) -> float:
    """The median latency, seconds."""
    return float(np.median([answer.seconds for answer in answers]))


async def load(ask: Ask) -> Findings:
    """Send single requests in sequence, then a burst, then single requests again."""
    findings = Findings()
    findings.before = [await ask(number) for number in range(SINGLE_BEFORE)]
    findings.burst = await asyncio.gather(*(ask(number) for number in range(BURST)))
    findings.after = [await ask(number) for number in range(SINGLE_AFTER)]
    return findings


@contextmanager
def served(max_latency_ms: int) -> Iterator[str]:
    """Start the service with BentoML's dispatcher; yields its address."""
    port = free_port()
    command = [sys.executable, "-m", "bentoml", "serve", "benchmarks.experiments.batchable_service:BatchableService"]
    environment = {"MAX_LATENCY_MS": str(max_latency_ms), "BENTOML_DO_NOT_TRACK": "True"}
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(
            [*command, "--host", "127.0.0.1", "--port", str(port)],
            cwd=ROOT,
            env={**os.environ, **environment},
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            wait_for(f"http://127.0.0.1:{port}/readyz", process)
            yield f"http://127.0.0.1:{port}"
        finally:
            os.killpg(process.pid, signal.SIGTERM)
            process.wait()


def wait_for(url: str, process: subprocess.Popen[bytes]) -> None:
    """Wait until the service is ready. Raises TimeoutError."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if httpx.get(url).is_success:
                return
        except httpx.TransportError:
            pass  # not listening yet
        time.sleep(0.1)
    raise TimeoutError("the service did not start")


async def on_bentoml(url: str) -> Findings:
    """Run the load on BentoML's dispatcher."""
    limits = httpx.Limits(max_connections=None)
    async with httpx.AsyncClient(base_url=url, timeout=300, limits=limits) as client:

        async def ask(number: int) -> Answer:
            started = time.perf_counter()
            answer = await client.post("/work", json={"numbers": [number]})
            seconds = time.perf_counter() - started
            if answer.status_code == REFUSED:
                return Answer(seconds)
            batch, at_once = answer.raise_for_status().json()[0]
            return Answer(seconds, batch, at_once)

        return await load(ask)


@dataclass(slots=True)
class SleepingModel:
    """Takes as long as the service's method. Results carry the figures of the batch instead of a language."""

    running: list[int] = field(default_factory=list)

    def decode(self, batch: Sequence[WindowTask]) -> list[WindowResult]:
        self.running.append(1)
        at_once = len(self.running)
        time.sleep(CALL_SECONDS + WINDOW_SECONDS * len(batch))
        self.running.pop()
        return [WindowResult(f"{len(batch)} {at_once}", 1.0, ()) for _ in batch]


class NoEvents:
    """Ignores all events."""

    def batch_formed(self, windows: int, max_batch: int, gpu: int) -> None: ...

    def ran_out_of_memory(self, model: str) -> None: ...

    def hung(self, model: str, seconds: float) -> None: ...


async def on_ours() -> Findings:
    """Run the same load on our scheduler."""
    scheduler = Scheduler(slots=SLOTS, max_batch=MAX_BATCH, max_queue_seconds=300, cheap_batching=True)
    model = SleepingModel()
    device = Device(scheduler, lambda name: nullcontext([model]), NoEvents())
    device.start(SLOTS, MAX_BATCH)

    async def ask(number: int) -> Answer:
        started = time.perf_counter()
        task = WindowTask(np.array([number], np.int16), DecodeOptions(model="any"))
        result = await device.decode(task, Ticket(str(time.monotonic_ns())))
        batch, at_once = (int(figure) for figure in result.language.split())
        return Answer(time.perf_counter() - started, batch, at_once)

    try:
        return await load(ask)
    finally:
        device.stop()


def main() -> int:
    """Run the comparison; returns the exit code."""
    rows = []
    for latency in (PATIENT_MS, IMPATIENT_MS):
        with served(latency) as url:
            rows.append(asyncio.run(on_bentoml(url)).row(f"batchable=True, max_latency_ms={latency}"))
    rows.append(asyncio.run(on_ours()).row(f"our scheduler, {SLOTS} slots"))
    print(f"A batch of n takes {CALL_SECONDS} s + n x {WINDOW_SECONDS} s, at most {MAX_BATCH} in one; seconds.\n")
    header = (
        "queue",
        "single",
        f"slowest of {BURST} at once",
        "refused",
        "batches at once",
        "next single one",
        f"single one {SINGLE_AFTER} later",
    )
    print(table(header, rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())
