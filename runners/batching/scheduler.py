"""Which windows go to the device next. Decides only: no threads, no clock, no device.

A batch is formed when a slot is free, from whatever waits; nothing waits for company. Every request that waits has a
turn, a place in one ring. A newcomer goes before those that were served already, and interactive requests before
background ones, except that whoever was passed over for AGEING_SECONDS is as urgent as a newcomer and has the older
turn. What waits is shared out between the slots, so that no slot idles while another one has a large batch.
"""

from __future__ import annotations

import itertools
import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from transcription.core.errors import ServiceUnavailable
from transcription.core.options import DecodeOptions, Priority, Ticket

AGEING_SECONDS = 10.0  # a request that waits gets a window at least about this often
ADMISSION_SECONDS = 60.0  # a request that was let in stays in, until it was silent for so long
FIRST_ESTIMATE = 1.5  # seconds of one slot for a window, before anything was measured (base, int8, one thread)
LEARNING_RATE = 0.2  # weight of the newest batch in the estimate
OWN_COMPANY = 2  # windows of one request in a batch, where company costs time: what a newcomer has to wait for
HALVED_SECONDS = 60.0  # for so long smaller batches are made after the device ran out of memory
# A window that fails at every temperature takes six decodes, and may be read in several parts.
PATIENCE = 30.0  # times its estimate, after which a batch is overdue


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
    only_language: bool


def batch_key(options: DecodeOptions) -> BatchKey:
    """The part of the options that a whole batch shares."""
    return BatchKey(
        options.model,
        options.beam_size,
        options.best_of,
        options.temperatures,
        options.initial_prompt,
        options.hotwords,
        options.only_language,
    )


@dataclass(frozen=True, slots=True)
class Item:
    """A window that waits.

    id: unique for the life of the scheduler.
    alone: it may bring the process down, so nothing else is on the device while it is.
    """

    id: int
    ticket: Ticket
    key: BatchKey
    alone: bool = False


@dataclass(frozen=True, slots=True)
class Batch:
    """Windows for one call of the device, oldest turn first.

    formed_at, deadline: on the scheduler's clock. A device that has not answered by the deadline never will.
    """

    id: int
    key: BatchKey
    items: tuple[Item, ...]
    formed_at: float
    deadline: float


@dataclass(slots=True)
class _Request:
    """Windows of one request, in order. turn: the lowest among the most urgent is served next."""

    priority: Priority
    turn: int
    served_at: float  # or when it came, before it was ever served
    is_new: bool  # none of its windows was ever served
    waiting: deque[Item] = field(default_factory=deque)


class Scheduler:
    """The queue of one runner process. Not thread-safe: the caller holds a lock.

    slots: batches that may run at once. max_batch: windows a batch may hold.
    cheap_company: a window takes hardly longer in a large batch than alone, as on a GPU. Where it does take longer, a
    window never shares a batch with windows of a request that has more of them waiting, and no request has more than
    OWN_COMPANY windows in one.
    max_queue_seconds: no new request is let in while one would wait longer than this.
    patience_seconds: no batch is overdue before that.
    Every `now` is seconds on one monotonic clock.
    """

    def __init__(
        self,
        *,
        slots: int,
        max_batch: int,
        max_queue_seconds: float,
        cheap_company: bool = False,
        patience_seconds: float = 120.0,
    ) -> None:
        self._max_queue_seconds = max_queue_seconds
        self._cheap_company = cheap_company
        self._patience_seconds = patience_seconds
        self.resize(slots, max_batch)
        self._halved = (max_batch, -math.inf)  # a smaller limit, and until when it holds
        self._requests: dict[str, _Request] = {}  # only those with windows waiting
        self._running: dict[int, Batch] = {}
        self._admitted: dict[str, float] = {}  # request -> last time it was heard of
        self._window_seconds: dict[str, float] = {}  # model -> estimated seconds of one slot
        self._turns = itertools.count()
        self._batch_ids = itertools.count()

    def resize(self, slots: int, max_batch: int) -> None:
        """Change the layout. Raises ValueError for one without room."""
        if slots < 1 or max_batch < 1:
            raise ValueError("slots and max_batch must be at least 1")
        self._slots = slots
        self._max_batch = max_batch

    @property
    def waiting(self) -> int:
        """Windows in the queue."""
        return sum(len(request.waiting) for request in self._requests.values())

    @property
    def running(self) -> int:
        """Batches on the device."""
        return len(self._running)

    def longest_wait(self, now: float) -> float:
        """For how many seconds the request that waits longest was not served; 0 when none waits."""
        return max((now - request.served_at for request in self._requests.values()), default=0.0)

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
        owner, priority = item.ticket.owner, item.ticket.priority
        is_new = owner not in self._admitted
        if is_new:
            self._check_admission(priority)
        self._admitted[owner] = now
        if owner not in self._requests:
            self._requests[owner] = _Request(priority, next(self._turns), now, is_new)
        self._requests[owner].waiting.append(item)

    def cancel(self, item_id: int) -> bool:
        """Take a window out of the queue. False when it does not wait there, because it runs or is done."""
        for owner, request in self._requests.items():
            for item in request.waiting:
                if item.id == item_id:
                    request.waiting.remove(item)
                    self._drop_if_empty(owner)
                    return True
        return False

    def next_batch(self, now: float) -> Batch | None:
        """The best compatible windows for one free slot, or None when nothing may start now."""
        if not self._requests or len(self._running) >= self._slots:
            return None
        if any(item.alone for batch in self._running.values() for item in batch.items):
            return None
        room = self._room(now)
        owner = min(self._requests, key=lambda name: self._rank(name, now))
        request = self._requests[owner]
        if request.waiting[0].alone and self._running:
            return None  # what runs ends soon, and nothing new begins before it
        crowd = math.inf if self._cheap_company else len(request.waiting)
        first = self._take(owner, now)
        items = [first]
        while len(items) < room and not first.alone:
            fitting = [
                name
                for name, other in self._requests.items()
                if _suits(other, first, crowd) and self._may_join(name, items)
            ]
            if not fitting:
                break
            items.append(self._take(min(fitting, key=lambda name: self._rank(name, now)), now))
        batch = Batch(next(self._batch_ids), first.key, tuple(items), now, now + self._patience(items))
        self._running[batch.id] = batch
        return batch

    def finished(self, batch: Batch, now: float, *, learn: bool = True) -> None:
        """Free the slot of a batch and, unless it failed, learn from the time it took."""
        del self._running[batch.id]
        for item in batch.items:
            self._admitted[item.ticket.owner] = now
        if not learn:
            return
        seconds = max(0.0, now - batch.formed_at) / len(batch.items)
        known = self._window_seconds.get(batch.key.model, seconds)
        self._window_seconds[batch.key.model] = known + LEARNING_RATE * (seconds - known)

    def ran_out_of_memory(self, windows: int, now: float) -> int:
        """The device could not hold that many windows: half as many for a while. Returns the new limit."""
        limit = max(1, min(windows, self.batch_limit(now)) // 2)
        self._halved = (limit, now + HALVED_SECONDS)
        return limit

    def batch_limit(self, now: float) -> int:
        """Windows that a batch may hold now."""
        limit, until = self._halved
        return min(limit, self._max_batch) if now < until else self._max_batch

    def overdue(self, now: float) -> list[Batch]:
        """Batches that the device will not finish any more."""
        return [batch for batch in self._running.values() if now > batch.deadline]

    def _may_join(self, owner: str, items: Sequence[Item]) -> bool:
        own = sum(item.ticket.owner == owner for item in items)
        return self._cheap_company or own < OWN_COMPANY

    def _room(self, now: float) -> int:
        """Windows for the next batch: a slot's share of what waits, as far as the limit goes."""
        return min(self.batch_limit(now), math.ceil(self.waiting / self._slots))

    def _patience(self, items: Sequence[Item]) -> float:
        return max(self._patience_seconds, PATIENCE * sum(self._estimate(item) for item in items))

    def _take(self, owner: str, now: float) -> Item:
        """The first waiting window of a request, which goes to the end of the ring."""
        request = self._requests[owner]
        item = request.waiting.popleft()
        request.turn = next(self._turns)
        request.served_at = now
        request.is_new = False
        self._drop_if_empty(owner)
        return item

    def _rank(self, owner: str, now: float) -> tuple[int, int]:
        """The lowest is served next."""
        request = self._requests[owner]
        if now - request.served_at >= AGEING_SECONDS:
            return 0, request.turn
        if request.priority is Priority.BACKGROUND:
            return 2, request.turn
        return 0 if request.is_new else 1, request.turn

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
            owner
            for owner, heard in self._admitted.items()
            if now - heard > ADMISSION_SECONDS and owner not in self._requests
        ]
        for owner in silent:
            del self._admitted[owner]

    def _drop_if_empty(self, owner: str) -> None:
        if not self._requests[owner].waiting:
            del self._requests[owner]


def _suits(request: _Request, first: Item, crowd: float) -> bool:
    """Whether the request's next window may share a batch with `first`. crowd: windows it may have waiting."""
    head = request.waiting[0]
    return head.key == first.key and not head.alone and len(request.waiting) <= crowd
