"""One device loop over several GPUs, each of which does what it is told."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from contextlib import nullcontext

import numpy as np

from runners.batching.device import Device
from runners.batching.scheduler import Scheduler
from runners.decode.engine import WindowTask
from transcription.core.options import DecodeOptions, Ticket
from transcription.core.transcript import WindowResult


class BusyModel:
    """Stands in for the copy of a model on one GPU, which answers once every other one is at work, too."""

    def __init__(self, name: str, all_at_work: threading.Barrier) -> None:
        self._name = name
        self._all_at_work = all_at_work

    def decode(self, batch: Sequence[WindowTask]) -> list[WindowResult]:
        self._all_at_work.wait(timeout=10)
        return [WindowResult(self._name, 1.0, ()) for _ in batch]


class Counts:
    """Counts batches by GPU."""

    def __init__(self) -> None:
        self.batches = [0, 0]

    def batch_formed(self, windows: int, max_batch: int, gpu: int) -> None:
        self.batches[gpu] += 1

    def ran_out_of_memory(self, model: str) -> None: ...

    def hung(self, model: str, seconds: float) -> None: ...


def test_windows_are_decoded_on_all_gpus_at_once() -> None:
    async def scenario() -> list[WindowResult]:
        task = WindowTask(np.zeros(1, np.int16), DecodeOptions(model="demo"))
        return await asyncio.gather(*(device.decode(task, Ticket(f"request-{number}")) for number in range(6)))

    at_work = threading.Barrier(2)
    models = [BusyModel("first", at_work), BusyModel("second", at_work)]
    scheduler, counts = Scheduler(slots=1, max_batch=1, max_queue_seconds=300), Counts()
    device = Device(scheduler, lambda name: nullcontext(models), counts)
    device.start(slots=1, max_batch=1, gpus=2)
    results = asyncio.run(scenario())
    device.stop()

    assert sorted(result.language for result in results) == ["first"] * 3 + ["second"] * 3
    assert counts.batches == [3, 3]
