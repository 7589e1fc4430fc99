"""A runner that takes a fixed time for each batch: the real server, queue and quarantine, without a model.

`python -m tests.support.fixed_cost_runner --port PORT` serves the wire of `runners/pool/`. Its text is a digest of the
samples. A window that begins with POISON kills the process as soon as it is on the device.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import os
import signal
import time
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import uvicorn
from numpy.typing import NDArray
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import BaseRoute, Mount, Route

from runners.batching.delivery import Delivery
from runners.batching.device import Device, Load
from runners.batching.quarantine import Journal
from runners.batching.scheduler import Scheduler
from runners.client.interface import ModelState, RunnerState
from runners.pool.access import RunnerAccess
from runners.pool.messages import PREFIX
from runners.pool.server import RunnerServer
from transcription.core.errors import ModelUnavailable
from transcription.core.options import DecodeOptions, Ticket
from transcription.core.transcript import Segment, WindowResult
from transcription.system.signals import call_on_sigterm

POISON = -12345
START_POLL_SECONDS = 0.01


def text_of(samples: NDArray[np.int16]) -> str:
    """The text of a window, the same from every runner."""
    return " " + hashlib.sha256(samples.tobytes()).hexdigest()[:8]


@dataclass(frozen=True, slots=True)
class Task:
    """As `runners.decode.engine.WindowTask`, whose module takes seconds to import."""

    samples: NDArray[np.int16]
    options: DecodeOptions


class FixedCost:
    """Decodes any batch in the same time. seconds: for a batch of whatever size."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    def decode(self, batch: Sequence[Task]) -> list[WindowResult]:
        if any(task.samples[0] == POISON for task in batch):
            os.kill(os.getpid(), signal.SIGKILL)
        time.sleep(self._seconds)
        texts = [text_of(task.samples) for task in batch]
        return [WindowResult("en", 1.0, (Segment(0.0, 1.0, text, (1,), -0.1, 1.0, 0.0, 0.0),)) for text in texts]


class CountedBatches:
    """Receives the events of the device. windows, batches: so far."""

    def __init__(self) -> None:
        self.windows = self.batches = 0

    def batch_formed(self, windows: int, max_batch: int, gpu: int) -> None:
        self.windows += windows
        self.batches += 1

    def ran_out_of_memory(self, model: str) -> None: ...
    def hung(self, model: str, seconds: float) -> None: ...


class FixedCostHost:
    """A `runners.pool.server.Host`. models: names of those that are loaded."""

    def __init__(self, seconds: float, batch: int, models: Sequence[str], folder: Path, max_queue: float) -> None:
        self._models = models
        decoder = FixedCost(seconds)
        scheduler = Scheduler(slots=1, max_batch=batch, max_queue_seconds=max_queue, cheap_batching=True)
        self.events = CountedBatches()
        self.device = Device(scheduler, lambda _: nullcontext([decoder]), self.events, Journal(folder))
        self.device.start(1, batch)

    @property
    def load(self) -> Load:
        return self.device.load()

    async def decode(
        self, samples: NDArray[np.int16], options: DecodeOptions, ticket: Ticket, delivery: Delivery
    ) -> WindowResult:
        if options.model not in self._models:
            raise ModelUnavailable("not here")
        return await self.device.decode(Task(samples, options), ticket, delivery)

    async def state(self) -> RunnerState:
        models = tuple(ModelState(name, True, True) for name in self._models)
        return RunnerState(True, "none", "none", models, backlog_seconds=self.load.backlog)


def server_of(runner: RunnerServer, token: str, *more: BaseRoute, **where: Any) -> uvicorn.Server:
    """A server with the wire and a few routes more. where: host and port, or uds."""
    access = Middleware(RunnerAccess, token=token, is_alone=lambda: True)
    app = Starlette(routes=[Mount(PREFIX, runner.app), *more], middleware=[access])
    return uvicorn.Server(uvicorn.Config(app, log_level="warning", lifespan="off", **where))


async def serve(options: argparse.Namespace) -> None:
    host = FixedCostHost(
        options.seconds, options.batch, options.models.split(","), options.folder, options.max_queue_seconds
    )
    runner = RunnerServer(lambda: host)
    if options.wire:
        runner.versions = (options.wire,)
    where: dict[str, Any] = {"uds": options.socket} if options.socket else {"host": options.host, "port": options.port}

    async def counts(_: Request) -> JSONResponse:
        return JSONResponse({"windows": host.events.windows, "batches": host.events.batches})

    server = server_of(runner, options.token, Route("/metrics", counts), **where)
    serving = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(START_POLL_SECONDS)
    call_on_sigterm(runner.drain)
    await serving


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--socket", default="")
    parser.add_argument("--seconds", type=float, default=0.05)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--models", default="demo")
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--token", default="")
    parser.add_argument("--wire", type=int, default=0, help="the only version to state; by default its own")
    parser.add_argument("--max-queue-seconds", type=float, default=300.0)
    asyncio.run(serve(parser.parse_args()))
