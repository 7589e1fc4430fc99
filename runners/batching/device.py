"""The loop that owns the device: slot threads that ask the scheduler for work and hand results to asyncio.

One window never fails another: a batch that fails is tried again window by window, one that does not fit into memory in
halves, and windows that were on the device when the process died are quarantined.
"""

from __future__ import annotations

import asyncio
import itertools
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Protocol

from runners.batching.delivery import ORDINARY, Delivery, Started, tell
from runners.batching.quarantine import REFUSED_FROM, Journal, Verdict, fingerprint, refused_window
from runners.batching.queue import Item, batch_key, size_of
from runners.batching.refusals import being_replaced, is_out_of_memory, no_memory, stopping
from runners.batching.scheduler import Batch, Scheduler
from transcription.core.errors import Superseded, TranscriptionError
from transcription.core.options import Priority, Ticket
from transcription.core.transcript import WindowResult
from transcription.telemetry.background import going_on
from transcription.telemetry.tracing import QUEUE, Stage, past_span, recorded

if TYPE_CHECKING:
    from runners.decode.engine import WindowTask  # its module imports the model's library

STOP_SECONDS = 30.0  # a running batch delays a shutdown by at most this
WATCH_SECONDS = 0.5  # between checks for overdue batches


class Decoder(Protocol):
    """A loaded model, such as `Engine`."""

    def decode(self, batch: Sequence[WindowTask]) -> list[WindowResult]:
        """Results in the order of the batch."""
        ...


Lease = Callable[[str], AbstractContextManager[Sequence[Decoder]]]
Outcome = WindowResult | Exception


class Events(Protocol):
    """Receives the events of a device. Called from threads of the device; must return at once."""

    def batch_formed(self, windows: int, max_batch: int, gpu: int) -> None:
        """max_batch: windows that would have fitted. gpu: position among the GPUs in use; 0 for a CPU."""
        ...

    def ran_out_of_memory(self, model: str) -> None: ...

    def hung(self, model: str, seconds: float) -> None:
        """A batch has not ended within its deadline: this process will never answer again. seconds: since its start."""
        ...


@dataclass(slots=True)
class _Trace:
    """Stages of one window, filled in by the threads of the device. queued, taken: nanoseconds since the epoch."""

    queued: int
    taken: int = 0
    batch: int = 0
    stages: Sequence[Stage] = ()

    def export(self) -> None:
        """Record the stages as spans of the caller's request."""
        if self.taken:
            past_span(Stage(QUEUE, self.queued, self.taken))
        for each in self.stages:
            past_span(each, batch=self.batch)


@dataclass(frozen=True, slots=True, eq=False)
class _Waiting:
    """A window in the queue or on the device, and the future that its caller awaits."""

    task: WindowTask
    fingerprint: str
    loop: asyncio.AbstractEventLoop
    future: asyncio.Future[WindowResult]
    trace: _Trace
    started: Started


@dataclass(frozen=True, slots=True)
class Load:
    """Windows waiting and batches running. backlog, longest_wait, window_seconds: see `Scheduler`."""

    waiting: int
    running: int
    backlog: float
    longest_wait: float
    window_seconds: float = 0.0

    @property
    def is_busy(self) -> bool:
        """Whether there is any work."""
        return self.waiting + self.running > 0


class Device:
    """Runs batches in one thread per slot. The scheduler decides; this class carries out its decisions.

    lease: yields the model of a name, once for each of the GPUs, and keeps it in memory until the context ends.
    journal: windows that were on the device when earlier processes died; None if it cannot be written.
    """

    def __init__(
        self,
        scheduler: Scheduler,
        lease: Lease,
        events: Events,
        journal: Journal | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._scheduler = scheduler
        self._lease = lease
        self._events = events
        self._journal = journal
        self._clock = clock
        self._work = threading.Condition()  # guards everything below and the scheduler
        self._waiting: dict[int, _Waiting] = {}
        self._ids = itertools.count()
        self._stopping = threading.Event()
        self._hanging = False
        self._max_batch = 1
        self._threads: list[threading.Thread] = []

    def start(self, slots: int, max_batch: int, gpus: int = 1) -> None:
        """Start the slots. Windows may have been submitted before. gpus: each has as many slots."""
        with self._work:
            if self._stopping.is_set():
                return
            self._scheduler.resize(slots * gpus, max_batch)
            self._max_batch = max_batch
            # The first slot of every GPU before the second of any: a little work spreads over all of them.
            self._threads = [
                self._thread(f"slot-{number}", partial(self._serve_slot, number % gpus))
                for number in range(slots * gpus)
            ]
        for thread in self._threads:
            thread.start()
        self._thread("watch", self._watch).start()

    def stop(self, *, wait: bool = True) -> None:
        """Finish the running batches and refuse the waiting windows. Blocks for at most STOP_SECONDS.

        wait: False if the process ends now, while the device decodes. No death is recorded for its windows.
        """
        with self._work:
            self._stopping.set()
            self._work.notify_all()
        self._answer_all(stopping())
        deadline = time.monotonic() + (STOP_SECONDS if wait else 0.0)
        for thread in self._threads:
            if thread.ident is not None:
                thread.join(max(0.0, deadline - time.monotonic()))
        if self._journal:
            self._journal.close()

    def load(self) -> Load:
        """The load at this moment."""
        with self._work:
            return Load(
                self._scheduler.waiting,
                self._scheduler.running,
                self._scheduler.backlog(Priority.INTERACTIVE),
                self._scheduler.longest_wait(self._clock()),
                self._scheduler.window_seconds,
            )

    async def decode(self, task: WindowTask, ticket: Ticket, delivery: Delivery = ORDINARY) -> WindowResult:
        """Queue one window and wait for its result.

        Cancelling takes it out of the queue; a batch that is already running is not interrupted, its result is dropped.
        Raises ServiceUnavailable when the queue is full, Superseded, RefusedWindow, and what the model raises.
        """
        loop = asyncio.get_running_loop()
        name = fingerprint(task)
        waiting = _Waiting(task, name, loop, loop.create_future(), _Trace(time.time_ns()), delivery.started)
        alone = self._must_run_alone(name, delivery.deaths)
        with self._work:
            if self._stopping.is_set():
                raise stopping()
            if self._hanging:
                raise being_replaced()
            size = size_of(len(task.samples))
            item = Item(next(self._ids), ticket, batch_key(task.options), size, alone, delivery.admitted)
            replaced = self._scheduler.submit(item, self._clock())
            self._waiting[item.id] = waiting
            if replaced and (old := self._waiting.get(replaced.id)):
                _settle(old, Superseded("A newer part of the session is decoded in its place."))
            self._work.notify()
        try:
            return await waiting.future
        finally:
            waiting.trace.export()
            with self._work:
                self._scheduler.cancel(item.id)
                self._waiting.pop(item.id, None)

    def _must_run_alone(self, name: str, deaths: int) -> bool:
        # Not the sum: the caller may have seen the very death that is in the journal.
        verdict = self._journal.verdict(name) if self._journal else Verdict.CLEAR
        if verdict is Verdict.REFUSED or deaths >= REFUSED_FROM:
            raise refused_window()
        return verdict is Verdict.ALONE or deaths > 0

    def _thread(self, name: str, work: Callable[[], None]) -> threading.Thread:
        """A thread that does the work, again if an error ends it."""

        def keep_working() -> None:
            while not self._stopping.is_set():
                with going_on(name.partition("-")[0]):
                    work()
                    return
                self._stopping.wait(WATCH_SECONDS)

        return threading.Thread(target=keep_working, name=name, daemon=True)

    def _serve_slot(self, gpu: int) -> None:
        while batch := self._next_batch():
            with self._work:
                # A caller may disconnect between the choice and here; its window is then skipped.
                callers = [self._waiting[item.id] for item in batch.items if item.id in self._waiting]
            outcomes: Sequence[Outcome] = ()
            try:
                outcomes = self._run(batch, callers, gpu)
            finally:
                succeeded = any(isinstance(outcome, WindowResult) for outcome in outcomes)
                with self._work:
                    self._scheduler.finished(batch, self._clock(), learn=succeeded)
                    self._work.notify_all()

    def _next_batch(self) -> Batch | None:
        """Wait for the next batch; None when the device stops."""
        with self._work:
            while not self._stopping.is_set():
                if batch := self._scheduler.next_batch(self._clock()):
                    return batch
                self._work.wait()
        return None

    def _run(self, batch: Batch, callers: Sequence[_Waiting], gpu: int) -> Sequence[Outcome]:
        """Answer every caller, and return the answers."""
        try:
            outcomes = self._recorded(batch, callers, gpu) if callers else []
        except Exception as error:
            # Not swallowed: it becomes the callers' answer, and the slot goes on.
            outcomes = [error] * len(callers)
        for caller, outcome in zip(callers, outcomes, strict=True):
            _settle(caller, outcome)
        return outcomes

    def _recorded(self, batch: Batch, callers: Sequence[_Waiting], gpu: int) -> list[Outcome]:
        """A result or an error for each window; meanwhile the journal lists what is on the device."""
        self._events.batch_formed(len(callers), self._max_batch, gpu)
        if self._journal:
            self._journal.begin(batch.id, (caller.fingerprint for caller in callers))
        tell([caller.started for caller in callers])
        try:
            taken = time.time_ns()
            with self._lease(batch.key.model) as models, recorded() as stages:
                outcomes = self._decode(batch.key.model, models[gpu], [caller.task for caller in callers])
            for caller in callers:
                caller.trace.taken, caller.trace.batch, caller.trace.stages = taken, len(callers), stages
        finally:
            if self._journal:
                self._journal.end(batch.id)
        if len(outcomes) != len(callers):
            raise RuntimeError(f"{len(outcomes)} results for {len(callers)} windows")
        return outcomes

    def _decode(self, name: str, model: Decoder, tasks: Sequence[WindowTask]) -> list[Outcome]:
        try:
            return list(model.decode(tasks))
        except Exception as error:
            size = self._size_after(error, name, len(tasks))
            if len(tasks) == 1:
                return [no_memory(error) if is_out_of_memory(error) else error]
        parts = (tasks[start : start + size] for start in range(0, len(tasks), size))
        return [outcome for part in parts for outcome in self._decode(name, model, part)]

    def _size_after(self, error: Exception, name: str, windows: int) -> int:
        """Number of windows to decode at once after a batch of `windows` failed."""
        if not is_out_of_memory(error):
            return 1  # most likely one window is at fault; the others are decoded without it
        with self._work:
            limit = self._scheduler.ran_out_of_memory(windows, self._clock())
        self._events.ran_out_of_memory(name)
        return limit

    def _watch(self) -> None:
        """Report a batch that is overdue. Its thread cannot be stopped, only the process."""
        while not self._stopping.wait(WATCH_SECONDS):
            with self._work:
                now = self._clock()
                overdue = self._scheduler.overdue(now)
                self._hanging = bool(overdue)
            if overdue:
                self._answer_all(being_replaced())
                self._events.hung(overdue[0].key.model, now - overdue[0].formed_at)
                return

    def _answer_all(self, error: TranscriptionError) -> None:
        with self._work:
            for waiting in self._waiting.values():
                _settle(waiting, error)


def _settle(caller: _Waiting, outcome: Outcome) -> None:
    """Pass the outcome to the caller's future, from any thread, unless the caller has cancelled."""

    def settle() -> None:
        if caller.future.done():
            return
        if isinstance(outcome, Exception):
            # One exception object per caller: raising it changes its traceback.
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
