"""The loop that owns the device: slot threads that ask the scheduler for work and hand results to asyncio.

What one window does to the device is never another one's fault: a batch that fails is tried again window by window, one
that does not fit into memory in halves, and what was on the device when the process died is remembered.
"""

from __future__ import annotations

import asyncio
import itertools
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from runners.batching.quarantine import Journal, Verdict, fingerprint
from runners.batching.scheduler import HALVED_SECONDS, Batch, Item, Scheduler, batch_key
from runners.client.interface import RESTART_SECONDS
from runners.decode.engine import WindowTask
from transcription.core.errors import RefusedWindow, ServiceUnavailable, TranscriptionError
from transcription.core.options import Priority, Ticket
from transcription.core.transcript import WindowResult
from transcription.telemetry.tracing import QUEUE, Stage, past_span, recorded

STOP_SECONDS = 30.0  # the longest that a running batch may hold up a shutdown
WATCH_SECONDS = 0.5  # between looks at what is overdue
# What CTranslate2, torch and cuBLAS say; none of them has an exception of its own for it.
OUT_OF_MEMORY = ("out of memory", "CUBLAS_STATUS_ALLOC_FAILED")


class Decoder(Protocol):
    """A loaded model, as `Engine` is one."""

    def decode(self, batch: Sequence[WindowTask]) -> list[WindowResult]:
        """Results in the order of the batch."""
        ...


Lease = Callable[[str], AbstractContextManager[Decoder]]
Outcome = WindowResult | Exception


class Events(Protocol):
    """What the owner of a device is told. Called from threads of the device; must return at once."""

    def batch_formed(self, windows: int) -> None: ...

    def ran_out_of_memory(self, model: str) -> None: ...

    def hangs(self, model: str, seconds: float) -> None:
        """A batch did not end within its deadline: this process will never answer again."""
        ...


@dataclass(slots=True)
class _Trace:
    """What is done for a caller, told by the threads of the device. queued, taken: nanoseconds since the epoch."""

    queued: int
    taken: int = 0
    batch: int = 0
    stages: Sequence[Stage] = ()

    def tell(self) -> None:
        """As spans of the caller's request."""
        if self.taken:
            past_span(Stage(QUEUE, self.queued, self.taken))
        for each in self.stages:
            past_span(each, batch=self.batch)


@dataclass(frozen=True, slots=True, eq=False)
class _Waiting:
    """A caller and what it waits for."""

    task: WindowTask
    fingerprint: str
    loop: asyncio.AbstractEventLoop
    future: asyncio.Future[WindowResult]
    trace: _Trace


@dataclass(frozen=True, slots=True)
class Load:
    """What the device has to do. backlog, longest_wait: seconds, see `Scheduler`."""

    waiting: int
    running: int
    backlog: float
    longest_wait: float


class Device:
    """Runs batches in as many threads as it has slots. The scheduler decides; this class only carries out.

    lease: the model by name, kept in memory for as long as the context lasts.
    journal: what earlier processes died of; None where nothing can be remembered.
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
        self._threads: list[threading.Thread] = []

    def start(self, slots: int, max_batch: int) -> None:
        """Start to work on what waits, which may have been submitted before."""
        with self._work:
            if self._stopping.is_set():
                return
            self._scheduler.resize(slots, max_batch)
            self._threads = [
                threading.Thread(target=self._serve_slot, name=f"slot-{number}", daemon=True) for number in range(slots)
            ]
        for thread in self._threads:
            thread.start()
        threading.Thread(target=self._watch, name="watch", daemon=True).start()

    def stop(self) -> None:
        """Finish what runs, refuse what waits. Blocks for STOP_SECONDS at most."""
        with self._work:
            self._stopping.set()
            self._work.notify_all()
        self._answer_everyone(ServiceUnavailable("The service is stopping. Try again in a moment."))
        deadline = time.monotonic() + STOP_SECONDS
        for thread in self._threads:
            if thread.ident is not None:
                thread.join(max(0.0, deadline - time.monotonic()))
        if self._journal:
            self._journal.close()

    def load(self) -> Load:
        """What waits and what runs now."""
        with self._work:
            return Load(
                self._scheduler.waiting,
                self._scheduler.running,
                self._scheduler.backlog(Priority.INTERACTIVE),
                self._scheduler.longest_wait(self._clock()),
            )

    async def decode(self, task: WindowTask, ticket: Ticket) -> WindowResult:
        """Queue one window and wait for its result.

        Cancelling takes it out of the queue; a batch that runs already is not interrupted, its result is dropped.
        Raises ServiceUnavailable when too much waits, RefusedWindow for one that keeps killing the process, and what
        the model raises.
        """
        loop = asyncio.get_running_loop()
        waiting = _Waiting(task, fingerprint(task), loop, loop.create_future(), _Trace(time.time_ns()))
        alone = self._is_suspect(waiting.fingerprint)
        with self._work:
            if self._stopping.is_set():
                raise ServiceUnavailable("The service is stopping. Try again in a moment.")
            if self._hanging:
                raise _being_replaced()
            item = Item(next(self._ids), ticket, batch_key(task.options), alone)
            self._scheduler.submit(item, self._clock())
            self._waiting[item.id] = waiting
            self._work.notify()
        try:
            return await waiting.future
        finally:
            waiting.trace.tell()
            with self._work:
                self._scheduler.cancel(item.id)
                self._waiting.pop(item.id, None)

    def _is_suspect(self, name: str) -> bool:
        verdict = self._journal.verdict(name) if self._journal else Verdict.CLEAR
        if verdict is Verdict.REFUSED:
            raise RefusedWindow(
                "Twice the model's process died while it worked on this recording, so that it is not tried again for "
                "an hour. Convert the recording, leave out the part, or use another model."
            )
        return verdict is Verdict.ALONE

    def _serve_slot(self) -> None:
        while batch := self._next_batch():
            with self._work:
                # A caller may leave between the choice and here; its window is then decoded for nobody, or not at all.
                callers = [self._waiting[item.id] for item in batch.items if item.id in self._waiting]
            outcomes: Sequence[Outcome] = ()
            try:
                outcomes = self._run(batch, callers)
            finally:
                succeeded = any(isinstance(outcome, WindowResult) for outcome in outcomes)
                with self._work:
                    self._scheduler.finished(batch, self._clock(), learn=succeeded)
                    self._work.notify_all()

    def _next_batch(self) -> Batch | None:
        """The next batch, waited for; None when the device stops."""
        with self._work:
            while not self._stopping.is_set():
                if batch := self._scheduler.next_batch(self._clock()):
                    return batch
                self._work.wait()
        return None

    def _run(self, batch: Batch, callers: Sequence[_Waiting]) -> Sequence[Outcome]:
        """Answer every caller; what they were told."""
        try:
            outcomes = self._recorded(batch, callers) if callers else []
        except Exception as error:
            # Not swallowed: it is the callers' answer, and the slot lives on.
            outcomes = [error] * len(callers)
        for caller, outcome in zip(callers, outcomes, strict=True):
            _settle(caller, outcome)
        return outcomes

    def _recorded(self, batch: Batch, callers: Sequence[_Waiting]) -> list[Outcome]:
        """A result or an error for each window; until then the journal knows what is on the device."""
        self._events.batch_formed(len(callers))
        if self._journal:
            self._journal.begin(batch.id, (caller.fingerprint for caller in callers))
        try:
            taken = time.time_ns()
            with self._lease(batch.key.model) as model, recorded() as stages:
                outcomes = self._decode(batch.key.model, model, [caller.task for caller in callers])
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
                return [_no_memory(error) if is_out_of_memory(error) else error]
        parts = (tasks[start : start + size] for start in range(0, len(tasks), size))
        return [outcome for part in parts for outcome in self._decode(name, model, part)]

    def _size_after(self, error: Exception, name: str, windows: int) -> int:
        """How many windows to try at once after so many failed."""
        if not is_out_of_memory(error):
            return 1  # most likely one window's fault, for which the others shall not suffer
        with self._work:
            limit = self._scheduler.ran_out_of_memory(windows, self._clock())
        self._events.ran_out_of_memory(name)
        return limit

    def _watch(self) -> None:
        """Tell the owner when a batch will never end. Its thread cannot be stopped, only the process."""
        while not self._stopping.wait(WATCH_SECONDS):
            with self._work:
                now = self._clock()
                overdue = self._scheduler.overdue(now)
                self._hanging = bool(overdue)
            if overdue:
                self._answer_everyone(_being_replaced())
                self._events.hangs(overdue[0].key.model, now - overdue[0].formed_at)
                return

    def _answer_everyone(self, error: TranscriptionError) -> None:
        with self._work:
            for waiting in self._waiting.values():
                _settle(waiting, error)


def is_out_of_memory(error: Exception) -> bool:
    """Whether the device, or the machine, had no memory for a batch."""
    return isinstance(error, MemoryError) or any(text in str(error) for text in OUT_OF_MEMORY)


def _no_memory(error: Exception) -> ServiceUnavailable:
    return ServiceUnavailable(
        "The device has no memory for even one window. Try again in a minute, use a smaller model, or lower "
        "MAX_LOADED_MODELS.",
        detail=str(error),
        retry_after=HALVED_SECONDS,
    )


def _being_replaced() -> ServiceUnavailable:
    return ServiceUnavailable(
        "The model did not answer in time; its process is being replaced. Try again in a moment.",
        retry_after=RESTART_SECONDS,
    )


def _settle(caller: _Waiting, outcome: Outcome) -> None:
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
