"""A pool of fixed-cost runners, real processes and sockets: throughput, the cost of a hop, and a runner that dies.

    python -m benchmarks.pool [--runners 1 2 4 8] [--seconds 10] [--batch-seconds 0.4]

The device is replaced by a pause, so that a machine with few cores shows what the pool costs, not the model. Clients of
short clips send one window after another: four batches of them for each runner. The same clients in simulated time show
the choice of runners alone.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Sequence
from pathlib import Path

import aiohttp

from benchmarks.report import percentile
from benchmarks.simulated_pool import Load, simulate
from runners.pool.messages import PREFIX, WINDOW_TYPE, WINDOWS_PATH, WindowMessage, parse_event, render_window
from runners.pool.pool import RunnerPool
from tests.support.fixed_cost_runner import text_of
from tests.support.pool import TOKEN, pool_of, runner_processes, window
from tests.support.service import ROOT
from transcription.core.audio import Window
from transcription.core.errors import ServiceUnavailable
from transcription.core.options import DecodeOptions, Ticket

OPTIONS = DecodeOptions("demo")
BATCH = 4
CLIENTS_PER_RUNNER = 4 * BATCH  # one batch runs, and three wait or are on their way: 64 clients of 4 runners
WINDOW_SECONDS = 3.0  # short clips
WINDOWS = 64  # different ones
HOPS = 200
WARM_UP_SECONDS = 2.0
KILL_AFTER_SECONDS = 3.0


class Traffic:
    """Clients that send one window after another until `end`. Counts what comes back."""

    def __init__(self, pool: RunnerPool, windows: Sequence[Window]) -> None:
        self._pool, self._windows = pool, windows
        self.times: list[float] = []
        self.refused = self.wrong = 0

    async def client(self, number: int, end: float) -> None:
        """One client."""
        count = 0
        while time.monotonic() < end:
            each = self._windows[(number + count) % len(self._windows)]
            started = time.monotonic()
            # As the pipeline does: each clip is work of its own, and none is the second window of a longer one.
            ticket = Ticket(f"{number}-{count}", work_id=uuid.uuid4().hex)
            try:
                result = await self._pool.transcribe(each, OPTIONS, ticket)
            except ServiceUnavailable as error:
                self.refused += 1
                await asyncio.sleep(min(1.0, error.retry_after))
            else:
                self.times.append(time.monotonic() - started)
                self.wrong += result.segments[0].text != text_of(each.samples)
            count += 1


async def throughput(folder: Path, runners: int, seconds: float, batch_seconds: float, *, kill: bool = False) -> float:
    """Print and return windows a second."""
    windows = [window(number, WINDOW_SECONDS) for number in range(WINDOWS)]
    with runner_processes(folder, runners, "--seconds", str(batch_seconds), "--batch", str(BATCH)) as processes:
        async with pool_of(processes.ports) as pool:
            clients = CLIENTS_PER_RUNNER * runners
            warm = Traffic(pool, windows)
            begin = time.monotonic() + WARM_UP_SECONDS
            await asyncio.gather(*(warm.client(number, begin) for number in range(clients)))
            before = await counts(processes.ports)
            traffic, started = Traffic(pool, windows), time.monotonic()
            sending = [asyncio.create_task(traffic.client(number, started + seconds)) for number in range(clients)]
            if kill:
                await asyncio.sleep(KILL_AFTER_SECONDS)
                processes.processes[0].kill()
            await asyncio.gather(*sending)
            rate = len(traffic.times) / (time.monotonic() - started)
            after = before if kill else await counts(processes.ports)
    fill = "" if kill else f"batches filled to {(after[0] - before[0]) / (after[1] - before[1]) / BATCH:.0%}, "
    print(
        f"{runners} runners{', one killed' if kill else ''}: {rate:.1f} windows/s, "
        f"{rate / (runners * BATCH / batch_seconds):.0%} of {runners * BATCH / batch_seconds:.0f}, median "
        f"{statistics.median(traffic.times):.2f} s, p99 {percentile(traffic.times, 0.99):.2f} s, "
        f"{fill}refused {traffic.refused}, wrong {traffic.wrong}"
    )
    return rate


async def counts(ports: Sequence[int]) -> tuple[int, int]:
    """Windows and batches of all runners so far."""
    async with aiohttp.ClientSession(raise_for_status=True) as session:
        each = [await (await session.get(f"http://127.0.0.1:{port}/metrics")).json() for port in ports]
    return sum(one["windows"] for one in each), sum(one["batches"] for one in each)


async def hop(folder: Path, over: str) -> float:
    """Print and return milliseconds of one window on an idle runner whose device takes no time."""
    body = render_window(WindowMessage(window(0, 30.0).samples, OPTIONS, Ticket("hop")))
    socket = folder / "socket"
    place = ["--socket", str(socket)] if over == "unix" else ["--port", str(folder.stat().st_ino % 20_000 + 20_000)]
    command = [sys.executable, "-m", "tests.support.fixed_cost_runner", *place, "--folder", str(folder / "journal")]
    process = subprocess.Popen([*command, "--seconds", "0", "--token", TOKEN], cwd=ROOT)
    connector = (
        aiohttp.UnixConnector(str(socket), force_close=True)
        if over == "unix"
        else aiohttp.TCPConnector(force_close=True)
    )
    url = "http://localhost" if over == "unix" else f"http://127.0.0.1:{place[1]}"
    headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": WINDOW_TYPE}
    times: list[float] = []
    try:
        async with aiohttp.ClientSession(connector=connector, headers=headers) as session:
            while len(times) < HOPS:
                started = time.monotonic()
                try:
                    async with session.post(url + PREFIX + WINDOWS_PATH, data=body) as response:
                        events = [parse_event(line) async for line in response.content]
                except aiohttp.ClientConnectionError:
                    await asyncio.sleep(0.1)  # it is starting
                    continue
                assert events[-1].reply
                times.append((time.monotonic() - started) * 1000)
    finally:
        process.kill()
        process.wait()
    median = statistics.median(times)
    print(f"hop over {over}: median {median:.1f} ms, p95 {sorted(times)[int(HOPS * 0.95)]:.1f} ms, 30 s of sound")
    return median


async def main(options: argparse.Namespace) -> None:
    """Run everything and print a line for each."""
    for runners in options.runners:
        measured = simulate(Load(runners=runners, clients=CLIENTS_PER_RUNNER * runners, batch=BATCH))
        print(
            f"simulated, {runners} runners: {measured.rate / measured.ideal:.1%} of {measured.ideal:.0f} windows/s, "
            f"median {measured.median:.2f} s, p99 {measured.p99:.2f} s, batches filled to {measured.fill:.1%}"
        )
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for over in ("unix", "tcp"):
            (folder / over).mkdir()
            await hop(folder / over, over)
        for runners in options.runners:
            await throughput(folder / str(runners), runners, options.seconds, options.batch_seconds)
        await throughput(folder / "kill", 3, options.seconds, options.batch_seconds, kill=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runners", type=int, nargs="+", default=[1, 2, 4, 8])
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--batch-seconds", type=float, default=0.4)
    asyncio.run(main(parser.parse_args()))
