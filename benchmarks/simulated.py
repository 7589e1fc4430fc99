"""Time that does not depend on what else the machine does: a decode lasts as long as the CPU time that it takes.

The event loop has a clock of its own, which jumps to the next timer whenever nothing is left to do. The model really
decodes; the simulated device then lets as much time pass. So a minute of speech is measured in the seconds that its
decodes take, and on a busy machine the figures are nearly those of an idle one.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import time
from collections.abc import Callable
from typing import Any

from runners.batching.queue import Item, batch_key, size_of
from runners.batching.scheduler import Batch, Scheduler
from runners.decode.engine import Engine, WindowTask
from transcription.core.audio import Window
from transcription.core.errors import Superseded
from transcription.core.options import DecodeOptions, Ticket
from transcription.core.transcript import WindowResult


class SimulatedLoop(asyncio.SelectorEventLoop):
    """An event loop that never waits. Work for other threads is done at once, in this one."""

    def __init__(self) -> None:
        super().__init__()
        self._now = 0.0

    def time(self) -> float:
        """Seconds since the start, simulated."""
        return self._now

    def _run_once(self) -> None:
        # asyncio forgets cancelled timers only afterwards, and would then really wait for the next one.
        while self._scheduled and self._scheduled[0].cancelled():  # type: ignore[attr-defined]
            heapq.heappop(self._scheduled)._scheduled = False  # type: ignore[attr-defined]
            self._timer_cancelled_count -= 1  # type: ignore[attr-defined]
        if not self._ready and self._scheduled:  # type: ignore[attr-defined]
            self._now = max(self._now, self._scheduled[0].when())  # type: ignore[attr-defined]
        super()._run_once()  # type: ignore[misc]

    def run_in_executor(self, executor: Any, func: Callable[..., Any], *args: Any) -> asyncio.Future[Any]:  # type: ignore[override]
        """Call the function now."""
        future = self.create_future()
        try:
            future.set_result(func(*args))
        except Exception as error:
            future.set_exception(error)
        return future


class SimulatedDevice:
    """A `Runner` with the real scheduler and the real engine. slots: decodes at once, each with one thread."""

    def __init__(self, engine: Engine, slots: int = 2, max_batch: int = 4) -> None:
        self._engine = engine
        self._scheduler = Scheduler(slots=slots, max_batch=max_batch, max_queue_seconds=1e9)
        self._waiting: dict[int, tuple[WindowTask, asyncio.Future[WindowResult]]] = {}
        self._ids = itertools.count()
        self._running: set[asyncio.Task[None]] = set()
        self.cpu_seconds = 0.0

    async def transcribe(self, window: Window, options: DecodeOptions, ticket: Ticket) -> WindowResult:
        """Decode one window."""
        loop = asyncio.get_running_loop()
        future = loop.create_future()
        item = Item(next(self._ids), ticket, batch_key(options), size_of(len(window.samples)))
        replaced = self._scheduler.submit(item, loop.time())
        if replaced:
            _, superseded = self._waiting.pop(replaced.id)
            if not superseded.done():
                superseded.set_exception(Superseded("replaced"))
        self._waiting[item.id] = (WindowTask(window.samples, options), future)
        self._start()
        try:
            return await future
        finally:
            self._scheduler.cancel(item.id)
            self._waiting.pop(item.id, None)

    def _start(self) -> None:
        while batch := self._scheduler.next_batch(asyncio.get_running_loop().time()):
            task = asyncio.create_task(self._run(batch))
            self._running.add(task)
            task.add_done_callback(self._running.discard)

    async def _run(self, batch: Batch) -> None:
        callers = [self._waiting[item.id] for item in batch.items if item.id in self._waiting]
        started = time.process_time()
        results = self._engine.decode([task for task, _ in callers]) if callers else []
        seconds = time.process_time() - started
        self.cpu_seconds += seconds
        await asyncio.sleep(seconds)
        self._scheduler.finished(batch, asyncio.get_running_loop().time())
        for (_, future), result in zip(callers, results, strict=True):
            if not future.done():
                future.set_result(result)
        self._start()
