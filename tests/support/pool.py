"""Runners with a fixed cost behind real sockets, in this process or in their own, and pools that ask them."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from runners.pool.pool import RunnerPool
from runners.pool.server import Host, RunnerServer
from tests.support.fixed_cost_runner import FixedCostHost, server_of
from tests.support.network import Machine
from tests.support.service import ROOT, free_port
from transcription.core.audio import SAMPLE_RATE, Span, Timeline, Window
from transcription.core.errors import ServiceUnavailable
from transcription.core.settings import Settings

TOKEN = "a secret of thirty-two characters"
POLL_SECONDS = 0.01
START_SECONDS = 60.0  # on a busy machine


def window(number: int, seconds: float = 0.5) -> Window:
    """A window of noise, another one for each number."""
    samples = np.random.default_rng(number).integers(-1000, 1000, int(seconds * SAMPLE_RATE), dtype=np.int16)
    return Window(samples, Timeline((Span(0, len(samples)),)))


@asynccontextmanager
async def served(host: Host, token: str = TOKEN, port: int = 0) -> AsyncIterator[tuple[RunnerServer, int]]:
    """The wire of one host in this event loop, and its port. port: 0 for any."""
    runner, port = RunnerServer(lambda: host), port or free_port()
    server = server_of(runner, token, host="127.0.0.1", port=port)
    server.capture_signals = _no_signals  # type: ignore[method-assign]
    serving = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(POLL_SECONDS)
    try:
        yield runner, port
    finally:
        runner.drain()
        server.should_exit = server.force_exit = True
        await serving


@contextmanager
def _no_signals() -> Iterator[None]:
    yield


def fixed_cost(folder: Path, **options: Any) -> FixedCostHost:
    """A host with its journal in `folder`."""
    given = {"seconds": 0.02, "batch": 4, "models": ["demo"], "max_queue": 300.0, **options}
    return FixedCostHost(folder=folder, **given)


@asynccontextmanager
async def pool_of(ports: Sequence[int], known: int | None = None, **settings: Any) -> AsyncIterator[RunnerPool]:
    """A pool that has found `known` of the runners at these ports, by default all of them."""
    urls = ",".join(f"http://127.0.0.1:{port}" for port in ports)
    given = {"whisper_model": "demo", "runner_token": TOKEN, "runner_url": urls, **settings}
    pool = RunnerPool(Settings(_env_file=None, **given))
    pool.start()
    try:
        async with asyncio.timeout(START_SECONDS):
            while pool.ready_runners < (len(ports) if known is None else known):
                await asyncio.sleep(POLL_SECONDS)
        yield pool
    finally:
        await pool.close()


class RunnerProcesses:
    """Runners in processes of their own. options: of `tests.support.fixed_cost_runner`. machines: of the first ones."""

    def __init__(self, folder: Path, number: int, *options: str, machines: Sequence[Machine] = ()) -> None:
        self.ports = [free_port() for _ in range(number)]
        self.machines = list(machines)
        self._folder, self._options = folder, options
        self.processes = [self._begin(index) for index in range(number)]

    def restart(self, index: int, *more: str) -> None:
        """Start one again that has ended, with the same address and the same files. more: options for this time."""
        self.processes[index].wait()
        self.processes[index] = self._begin(index, *more)

    @property
    def urls(self) -> list[str]:
        """Their addresses."""
        hosts = [machine.address for machine in self.machines]
        hosts += ["127.0.0.1"] * (len(self.ports) - len(hosts))
        return [f"http://{host}:{port}" for host, port in zip(hosts, self.ports, strict=True)]

    @property
    def url(self) -> str:
        """RUNNER_URL."""
        return ",".join(self.urls)

    def stop(self) -> None:
        for process in self.processes:
            process.kill()
            process.wait()

    def _begin(self, index: int, *more: str) -> subprocess.Popen[bytes]:
        place = ["--port", str(self.ports[index]), "--folder", str(self._folder / str(index)), "--token", TOKEN]
        command = [sys.executable, "-m", "tests.support.fixed_cost_runner", *place, *self._options, *more]
        if index < len(self.machines):
            command = [*self.machines[index].prefix, *command, "--host", self.machines[index].address]
        return subprocess.Popen(command, cwd=ROOT)


@contextmanager
def runner_processes(
    folder: Path, number: int, *options: str, machines: Sequence[Machine] = ()
) -> Iterator[RunnerProcesses]:
    """Running processes, which end with the context."""
    processes = RunnerProcesses(folder, number, *options, machines=machines)
    try:
        yield processes
    finally:
        processes.stop()


async def until_unavailable(pool: RunnerPool) -> ServiceUnavailable:
    """The error that the pool gives for its state once no runner takes windows."""
    async with asyncio.timeout(START_SECONDS):
        while True:
            try:
                await pool.state()
            except ServiceUnavailable as error:
                return error
            await asyncio.sleep(POLL_SECONDS)
