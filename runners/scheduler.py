"""Which windows go to the device next. Decides only: no threads, no clock, no device.

A batch is formed when a slot is free, from whatever waits; nothing waits for company. Every request that waits has a
turn, a place in one ring. Interactive requests come before background ones, except that a background request which
was passed over for AGEING_SECONDS stands in the ring like an interactive one.
"""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

from errors import ServiceUnavailable
from transcript import DecodeOptions, Priority, Ticket

AGEING_SECONDS = 10.0  # a background request gets a window at least about this often
ADMISSION_SECONDS = 60.0  # a request that was let in stays in, until it was silent for so long
FIRST_ESTIMATE = 1.5  # seconds of one slot for a window, before anything was measured (base, int8, one thread)
LEARNING_RATE = 0.2  # weight of the newest batch in the estimate


class BatchKey(NamedTuple):
    """What windows must share to be decoded in one call; language, task and thresholds may differ.

    The prompts are part of it because CTranslate2 wants prompts of one length.
    """

    model: str
    beam_size: int
    best_of: int
    temperatures: tuple[float, ...]
    initial_prompt: str | None
    hotwords: str | None


def batch_key(options: DecodeOptions) -> BatchKey:
    """The part of the options that a whole batch shares."""
    return BatchKey(
        options.model,
        options.beam_size,
        options.best_of,
        options.temperatures,
        options.initial_prompt,
        options.hotwords,
    )


@dataclass(frozen=True, slots=True)
class Item:
    """A window that waits. id: unique for the life of the scheduler."""

    id: int
    ticket: Ticket
    key: BatchKey


@dataclass(frozen=True, slots=True)
class Batch:
    """Windows for one call of the device, oldest turn first. formed_at: on the scheduler's clock."""

    id: int
    key: BatchKey
    items: tuple[Item, ...]
    formed_at: float


@dataclass(slots=True)
class _Request:
    """Windows of one request, in order. turn: the lowest among those that wait is served next."""

    priority: Priority
    turn: int
    served_at: float  # or when it came, before it was ever served
    waiting: deque[Item] = field(default_factory=deque)


class Scheduler:
    """The queue of one runner process. Not thread-safe: the caller holds a lock.

    slots: batches that may run at once. max_batch: windows a batch may hold.
    max_queue_seconds: no new request is let in while one would wait longer than this.
    Every `now` is seconds on one monotonic clock.
    """

    def __init__(self, *, slots: int, max_batch: int, max_queue_seconds: float) -> None:
        if slots < 1 or max_batch < 1:
            raise ValueError("slots and max_batch must be at least 1")
        self._slots = slots
        self._max_batch = max_batch
        self._max_queue_seconds = max_queue_seconds
        self._requests: dict[str, _Request] = {}  # only those with windows waiting
        self._running: dict[int, Batch] = {}
        self._admitted: dict[str, float] = {}  # request -> last time it was heard of
        self._window_seconds: dict[str, float] = {}  # model -> estimated seconds of one slot
        self._turns = itertools.count()
        self._batch_ids = itertools.count()

    @property
    def waiting(self) -> int:
        """Windows in the queue."""
        return sum(len(request.waiting) for request in self._requests.values())

    @property
    def running(self) -> int:
        """Batches on the device."""
        return len(self._running)

    def backlog(self, priority: Priority) -> float:
        """Seconds until a new request of that priority would be served: what waits before it, and what runs."""
        ahead = [item for batch in self._running.values() for item in batch.items]
        for request in self._requests.values():
            if priority is Priority.BACKGROUND or request.priority is Priority.INTERACTIVE:
                ahead.extend(request.waiting)
        return sum(self._estimate(item) for item in ahead) / self._slots

    def submit(self, item: Item, now: float) -> None:
        """Put a window at the end of its request's queue.

        Raises ServiceUnavailable when the request is new and would wait too long. A request that was let in is never
        turned away half-way: its callers bound how many windows they have in flight.
        """
        self._forget_silent_requests(now)
        request_id, priority = item.ticket.request_id, item.ticket.priority
        if request_id not in self._admitted:
            self._check_admission(priority)
        self._admitted[request_id] = now
        if request_id not in self._requests:
            self._requests[request_id] = _Request(priority, next(self._turns), now)
        self._requests[request_id].waiting.append(item)

    def cancel(self, item_id: int) -> bool:
        """Take a window out of the queue. False when it does not wait there, because it runs or is done."""
        for request_id, request in self._requests.items():
            for item in request.waiting:
                if item.id == item_id:
                    request.waiting.remove(item)
                    self._drop_if_empty(request_id)
                    return True
        return False

    def next_batch(self, now: float) -> Batch | None:
        """The best compatible windows for one free slot, or None when nothing waits or every slot is taken."""
        if not self._requests or len(self._running) >= self._slots:
            return None
        first = self._take(now, lambda _: True)
        if first is None:
            return None
        items = [first]
        while len(items) < self._max_batch:
            item = self._take(now, lambda head: head.key == first.key)
            if item is None:
                break
            items.append(item)
        batch = Batch(next(self._batch_ids), first.key, tuple(items), now)
        self._running[batch.id] = batch
        return batch

    def finished(self, batch: Batch, now: float) -> None:
        """Free the slot of a batch and learn from the time it took."""
        del self._running[batch.id]
        for item in batch.items:
            self._admitted[item.ticket.request_id] = now
        seconds = max(0.0, now - batch.formed_at) / len(batch.items)
        known = self._window_seconds.get(batch.key.model, seconds)
        self._window_seconds[batch.key.model] = known + LEARNING_RATE * (seconds - known)

    def _take(self, now: float, fits: Callable[[Item], bool]) -> Item | None:
        """The next window by turn among the requests whose first waiting window fits."""
        candidates = [
            (request_id, request) for request_id, request in self._requests.items() if fits(request.waiting[0])
        ]
        if not candidates:
            return None
        request_id, request = min(candidates, key=lambda pair: self._rank(pair[1], now))
        item = request.waiting.popleft()
        request.turn = next(self._turns)
        request.served_at = now
        self._drop_if_empty(request_id)
        return item

    def _rank(self, request: _Request, now: float) -> tuple[bool, int]:
        aged = now - request.served_at >= AGEING_SECONDS
        return request.priority is Priority.BACKGROUND and not aged, request.turn

    def _estimate(self, item: Item) -> float:
        return self._window_seconds.get(item.key.model, FIRST_ESTIMATE)

    def _check_admission(self, priority: Priority) -> None:
        wait = self.backlog(priority)
        if wait <= self._max_queue_seconds:
            return
        raise ServiceUnavailable(
            f"Too much work is waiting: about {wait:.0f} s, the limit is {self._max_queue_seconds:.0f} s. "
            "Try again later, or raise MAX_QUEUE_SECONDS.",
            retry_after=max(1.0, wait - self._max_queue_seconds),
        )

    def _forget_silent_requests(self, now: float) -> None:
        # Insertion order is not order of age, but the dictionary only holds requests of the last minute.
        silent = [
            request_id
            for request_id, heard in self._admitted.items()
            if now - heard > ADMISSION_SECONDS and request_id not in self._requests
        ]
        for request_id in silent:
            del self._admitted[request_id]

    def _drop_if_empty(self, request_id: str) -> None:
        if not self._requests[request_id].waiting:
            del self._requests[request_id]
