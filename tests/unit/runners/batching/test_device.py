"""The loop that owns the device, with a device that does what it is told."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext

import numpy as np
import pytest

from runners.batching.device import Device
from runners.batching.quarantine import Journal
from runners.batching.queue import size_of
from runners.batching.scheduler import FIRST_ESTIMATE, PATIENCE, Scheduler
from runners.decode.engine import WindowTask
from tests.support.clock import Clock
from transcription.core.errors import ModelUnavailable, ServiceUnavailable, TranscriptionError
from transcription.core.options import DecodeOptions, Priority, Ticket
from transcription.core.transcript import WindowResult

TICKET = Ticket("request-1", Priority.BACKGROUND)
POISON = 666


class HeldModel:
    """Stands in for a loaded model: decodes when it is told to, and remembers what it was given.

    memory: windows that fit into the device at once.
    """

    def __init__(self, memory: int = 1000) -> None:
        self.may_go_on = threading.Event()
        self.begun = threading.Event()
        self.decoded: list[int] = []
        self.batches: list[int] = []
        self.error: Exception | None = None
        self._memory = memory

    def decode(self, batch: Sequence[WindowTask]) -> list[WindowResult]:
        self.begun.set()
        self.may_go_on.wait(10)
        self.batches.append(len(batch))
        if self.error:
            raise self.error
        if len(batch) > self._memory:
            raise RuntimeError("CUDA failed with error out of memory")
        numbers = [int(task.samples[0]) for task in batch]
        if POISON in numbers:
            raise ValueError("this one cannot be decoded")
        self.decoded += numbers
        return [WindowResult(str(number), 1.0, ()) for number in numbers]


class Log:
    """The events that the device reported."""

    def __init__(self) -> None:
        self.formed: list[int] = []
        self.out_of_memory: list[str] = []
        self.hang_reported = threading.Event()

    def batch_formed(self, windows: int, max_batch: int, gpu: int) -> None:
        self.formed.append(windows)

    def ran_out_of_memory(self, model: str) -> None:
        self.out_of_memory.append(model)

    def hung(self, model: str, seconds: float) -> None:
        self.hang_reported.set()


def a_task(number: int) -> WindowTask:
    return WindowTask(np.array([number], np.int16), DecodeOptions(model="demo"))


@contextmanager
def a_device(
    model: HeldModel,
    *,
    batch: int = 1,
    log: Log | None = None,
    journal: Journal | None = None,
    clock: Clock | None = None,
) -> Iterator[Device]:
    scheduler = Scheduler(slots=1, max_batch=batch, max_queue_seconds=300, cheap_batching=True, patience_seconds=1.0)
    device = Device(scheduler, lambda name: nullcontext([model]), log or Log(), journal, clock or time.monotonic)
    device.start(1, batch)
    try:
        yield device
    finally:
        model.may_go_on.set()
        device.stop()


async def soon(device: Device, model: HeldModel, *numbers: int) -> list[asyncio.Task[WindowResult]]:
    """Calls in flight: the first one runs, the others wait."""
    tasks = []
    for number in numbers:
        tasks.append(asyncio.create_task(device.decode(a_task(number), TICKET)))
        await asyncio.sleep(0)
        await asyncio.to_thread(model.begun.wait, 10)
    return tasks


def test_every_caller_gets_its_own_result() -> None:
    async def scenario() -> list[WindowResult]:
        model.may_go_on.set()
        return await asyncio.gather(*(device.decode(a_task(number), TICKET) for number in range(20)))

    model = HeldModel()
    with a_device(model) as device:
        results = asyncio.run(scenario())

    assert [result.language for result in results] == [str(number) for number in range(20)]


def test_a_caller_that_is_cancelled_takes_its_window_out_of_the_queue() -> None:
    async def scenario() -> None:
        first, second, third = await soon(device, model, 1, 2, 3)
        second.cancel()
        await asyncio.sleep(0)
        model.may_go_on.set()
        await asyncio.gather(first, third)

    model = HeldModel()
    with a_device(model) as device:
        asyncio.run(scenario())

    assert model.decoded == [1, 3]


def test_a_caller_may_be_cancelled_while_its_window_is_decoded() -> None:
    async def scenario() -> WindowResult:
        first, second = await soon(device, model, 1, 2)
        first.cancel()
        await asyncio.sleep(0)
        model.may_go_on.set()
        return await second

    model = HeldModel()
    with a_device(model) as device:
        assert asyncio.run(scenario()).language == "2"


@pytest.mark.parametrize("error", [ModelUnavailable("gone", "why"), ServiceUnavailable("busy", retry_after=7.0)])
def test_a_domain_error_of_the_model_reaches_the_caller(error: TranscriptionError) -> None:
    model = HeldModel()
    model.error = error
    model.may_go_on.set()
    with a_device(model) as device, pytest.raises(type(error)) as raised:
        asyncio.run(device.decode(a_task(1), TICKET))

    assert raised.value.message == error.message


def test_a_failure_of_the_device_is_the_callers_answer_and_the_slot_goes_on() -> None:
    async def scenario() -> WindowResult:
        with pytest.raises(TranscriptionError, match="failed on this recording"):
            await device.decode(a_task(1), TICKET)
        model.error = None
        return await device.decode(a_task(2), TICKET)

    model = HeldModel()
    model.error = RuntimeError("a fault")
    model.may_go_on.set()
    with a_device(model) as device:
        assert asyncio.run(scenario()).language == "2"


def test_a_failure_around_the_model_is_the_callers_answer_and_the_slot_goes_on() -> None:
    class FullDisk(Log):
        def batch_formed(self, windows: int, max_batch: int, gpu: int) -> None:
            super().batch_formed(windows, max_batch, gpu)
            if len(self.formed) == 1:
                raise OSError("No space left on device")

    async def scenario() -> WindowResult:
        with pytest.raises(TranscriptionError, match="Try again"):
            await asyncio.wait_for(device.decode(a_task(1), TICKET), 10)
        return await asyncio.wait_for(device.decode(a_task(2), TICKET), 10)

    model = HeldModel()
    model.may_go_on.set()
    with a_device(model, log=FullDisk()) as device:
        assert asyncio.run(scenario()).language == "2"


def test_a_stopping_device_refuses_waiting_and_new_windows() -> None:
    async def scenario() -> None:
        running, waiting = await soon(device, model, 1, 2)
        threading.Timer(0.1, model.may_go_on.set).start()
        await asyncio.to_thread(device.stop)
        outcomes = await asyncio.gather(running, waiting, device.decode(a_task(3), TICKET), return_exceptions=True)
        assert all(isinstance(outcome, ServiceUnavailable) for outcome in outcomes)

    model = HeldModel()
    with a_device(model) as device:
        asyncio.run(scenario())

    assert model.decoded == [1]


async def decode_all(device: Device, model: HeldModel, *numbers: int) -> list[WindowResult | BaseException]:
    """The outcomes of windows that wait together behind a first one."""
    tasks = await soon(device, model, 0, *numbers)
    model.may_go_on.set()
    return (await asyncio.gather(*tasks, return_exceptions=True))[1:]


def test_windows_wait_for_a_device_that_has_not_started_yet() -> None:
    async def scenario() -> WindowResult:
        waiting = asyncio.create_task(device.decode(a_task(7), TICKET))
        await asyncio.sleep(0.05)
        device.start(1, 1)
        return await waiting

    model = HeldModel()
    model.may_go_on.set()
    scheduler = Scheduler(slots=1, max_batch=1, max_queue_seconds=300)
    device = Device(scheduler, lambda name: nullcontext([model]), Log())
    assert asyncio.run(scenario()).language == "7"
    device.stop()


def test_out_of_memory_is_tried_again_in_halves_and_counted() -> None:
    log, model = Log(), HeldModel(memory=2)
    with a_device(model, batch=8, log=log) as device:
        outcomes = asyncio.run(decode_all(device, model, 1, 2, 3, 4, 5, 6))

    assert [outcome.language for outcome in outcomes if isinstance(outcome, WindowResult)] == list("123456")
    assert model.batches[1:3] == [6, 3]
    assert set(log.out_of_memory) == {"demo"}
    assert max(model.batches[3:]) <= 3


def test_a_single_window_that_does_not_fit_is_unavailable_with_the_remedy() -> None:
    model = HeldModel(memory=0)
    model.may_go_on.set()
    with a_device(model) as device, pytest.raises(ServiceUnavailable, match="MAX_LOADED_MODELS"):
        asyncio.run(device.decode(a_task(1), TICKET))


def test_a_window_that_cannot_be_decoded_does_not_fail_the_rest_of_its_batch() -> None:
    model = HeldModel()
    with a_device(model, batch=4) as device:
        outcomes = asyncio.run(decode_all(device, model, 1, POISON, 3))

    assert isinstance(outcomes[1], TranscriptionError)
    assert [outcome.language for outcome in outcomes if isinstance(outcome, WindowResult)] == ["1", "3"]


def test_the_size_of_every_batch_is_reported() -> None:
    log, model = Log(), HeldModel()
    with a_device(model, batch=4, log=log) as device:
        asyncio.run(decode_all(device, model, 1, 2, 3))

    assert log.formed == [1, 3]


def test_a_hanging_device_is_reported_and_every_caller_is_told_when_to_retry() -> None:
    async def scenario() -> list[BaseException | WindowResult]:
        tasks = await soon(device, model, 1, 2)
        clock.now += PATIENCE * size_of(1) * FIRST_ESTIMATE + 1.0
        await asyncio.to_thread(log.hang_reported.wait, 10)
        late = asyncio.create_task(device.decode(a_task(3), TICKET))
        return await asyncio.gather(*tasks, late, return_exceptions=True)

    log, model, clock = Log(), HeldModel(), Clock()
    with a_device(model, log=log, clock=clock) as device:
        outcomes = asyncio.run(scenario())

    assert log.hang_reported.is_set()
    assert all(isinstance(outcome, ServiceUnavailable) and outcome.retry_after > 0 for outcome in outcomes)
    assert len(outcomes) == 3


def test_a_device_that_is_only_slow_is_left_alone() -> None:
    async def scenario() -> WindowResult:
        (task,) = await soon(device, model, 1)
        clock.now += PATIENCE * size_of(1) * FIRST_ESTIMATE - 1.0
        await asyncio.sleep(1.2)
        model.may_go_on.set()
        return await task

    log, model, clock = Log(), HeldModel(), Clock()
    with a_device(model, log=log, clock=clock) as device:
        assert asyncio.run(scenario()).language == "1"

    assert not log.hang_reported.is_set()
