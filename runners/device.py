"""The loop that owns the device: slot threads that ask the scheduler for work and hand results to asyncio."""

from __future__ import annotations

import asyncio
import itertools
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from errors import ServiceUnavailable, TranscriptionError
from runners.engine import WindowTask
from runners.scheduler import Batch, Item, Scheduler, batch_key
from transcript import Ticket, WindowResult

STOP_SECONDS = 30.0  # the longest that a running batch may hold up a shutdown


class Decoder(Protocol):
    """A loaded model, as `Engine` is one."""

    def decode(self, batch: Sequence[WindowTask]) -> list[WindowResult]:
        """Results in the order of the batch."""
        ...


Lease = Callable[[str], AbstractContextManager[Decoder]]


@dataclass(frozen=True, slots=True, eq=False)
class _Waiting:
    """A caller and what it waits for."""

    task: WindowTask
    loop: asyncio.AbstractEventLoop
    future: asyncio.Future[WindowResult]


class Device:
    """Runs batches in `slots` threads. The scheduler decides; this class only carries out.

    lease: the model by name, kept in memory for as long as the context lasts.
    """

    def __init__(
        self, scheduler: Scheduler, lease: Lease, *, slots: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._scheduler = scheduler
        self._lease = lease
        self._clock = clock
        self._work = threading.Condition()  # guards everything below and the scheduler
        self._waiting: dict[int, _Waiting] = {}
        self._ids = itertools.count()
        self._stopping = False
        self._threads = [
            threading.Thread(target=self._serve_slot, name=f"slot-{number}", daemon=True) for number in range(slots)
        ]

    def start(self) -> None:
        """Start the slots."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Finish what runs, refuse what waits. Blocks for STOP_SECONDS at most."""
        with self._work:
            self._stopping = True
            self._work.notify_all()
            for waiting in self._waiting.values():
                _settle(waiting, ServiceUnavailable("The service is stopping. Try again in a moment."))
        deadline = time.monotonic() + STOP_SECONDS
        for thread in self._threads:
            if thread.ident is not None:
                thread.join(max(0.0, deadline - time.monotonic()))

    async def decode(self, task: WindowTask, ticket: Ticket) -> WindowResult:
        """Queue one window and wait for its result.

        Cancelling takes it out of the queue; a batch that runs already is not interrupted, its result is dropped.
        Raises ServiceUnavailable when too much waits, and what the model raises.
        """
        loop = asyncio.get_running_loop()
        waiting = _Waiting(task, loop, loop.create_future())
        with self._work:
            if self._stopping:
                raise ServiceUnavailable("The service is stopping. Try again in a moment.")
            item = Item(next(self._ids), ticket, batch_key(task.options))
            self._scheduler.submit(item, self._clock())
            self._waiting[item.id] = waiting
            self._work.notify()
        try:
            return await waiting.future
        finally:
            with self._work:
                self._scheduler.cancel(item.id)
                self._waiting.pop(item.id, None)

    def _serve_slot(self) -> None:
        while batch := self._next_batch():
            with self._work:
                # A caller may leave between the choice and here; its window is then decoded for nobody, or not at all.
                callers = [self._waiting[item.id] for item in batch.items if item.id in self._waiting]
            try:
                self._run(batch, callers)
            finally:
                with self._work:
                    self._scheduler.finished(batch, self._clock())
                    self._work.notify()

    def _next_batch(self) -> Batch | None:
        """The next batch, waited for; None when the device stops."""
        with self._work:
            while not self._stopping:
                if batch := self._scheduler.next_batch(self._clock()):
                    return batch
                self._work.wait()
        return None

    def _run(self, batch: Batch, callers: Sequence[_Waiting]) -> None:
        if not callers:
            return
        outcomes: Sequence[WindowResult | Exception]
        try:
            with self._lease(batch.key.model) as model:
                outcomes = model.decode([caller.task for caller in callers])
        except Exception as error:
            # Not swallowed: it is the callers' answer, and the slot lives on.
            outcomes = [error] * len(callers)
        for caller, outcome in zip(callers, outcomes, strict=True):
            _settle(caller, outcome)


def _settle(caller: _Waiting, outcome: WindowResult | Exception) -> None:
    """Give a caller its answer from any thread, unless it left."""

    def settle() -> None:
        if caller.future.done():
            return
        if isinstance(outcome, Exception):
            # One exception object answers one caller: raising it changes its traceback.
            caller.future.set_exception(_own_copy(outcome))
        else:
            caller.future.set_result(outcome)

    if not caller.loop.is_closed():
        caller.loop.call_soon_threadsafe(settle)


def _own_copy(error: Exception) -> Exception:
    if isinstance(error, TranscriptionError):
        kind, arguments = error.__reduce__()[:2]
        return kind(*arguments)
    wrapped = TranscriptionError(
        "The model failed on this recording. Try again; if it fails again, try another model.",
        detail=f"{type(error).__name__}: {error}",
    )
    wrapped.__cause__ = error
    return wrapped
