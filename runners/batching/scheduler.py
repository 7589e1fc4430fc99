"""Selects the windows that the device decodes next. Decides only: no threads, no clock, no device.

A batch is formed the moment a slot is free, from the windows that wait; no window waits for a batch to fill. Waiting
windows are shared out between the free slots, so that no slot idles while another has a large batch. `queue.py` decides
the order of the requests.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from runners.batching.queue import BatchKey, FairQueue, Item
from transcription.core.errors import ServiceUnavailable
from transcription.core.options import Priority

ADMISSION_SECONDS = 60.0  # an admitted request stays admitted until it has been silent for this long
FIRST_ESTIMATE = 1.5  # seconds of one slot for a window of size 1 until one is measured (base, int8, one thread)
LEARNING_RATE = 0.2  # weight of the newest batch in the estimate
MAX_PER_REQUEST = 2  # windows of one request in a batch where batching costs time: what a new request waits for
# After the last window of a live session: meanwhile the others leave a slot free, and have batches of one window where
# batching costs time, so that the next one does not wait for a long batch.
LIVE_SECONDS = 3.0
HALVED_SECONDS = 60.0  # batches stay halved this long after the device ran out of memory
# A window that fails at every temperature takes six decodes, and may be read in several parts.
PATIENCE = 30.0  # a batch is overdue after this many times its estimate


@dataclass(frozen=True, slots=True)
class Batch:
    """Windows for one call of the device, oldest turn first.

    formed_at, deadline: seconds on the scheduler's clock. A device that has not answered by the deadline hangs.
    """

    id: int
    key: BatchKey
    items: tuple[Item, ...]
    formed_at: float
    deadline: float

    @property
    def is_live(self) -> bool:
        """Whether it is of live sessions."""
        return _is_live(self.items[0])


class _LiveSessions:
    """What live sessions may expect of the others. heard_at: when a window of one arrived."""

    heard_at = -math.inf

    def are_on(self, now: float) -> bool:
        """Whether a live session has been heard of lately."""
        return now - self.heard_at <= LIVE_SECONDS

    def have_last_slot(self, now: float, running: Mapping[int, Batch], slots: int) -> bool:
        """Whether the only free slot is theirs: they will need it soon."""
        others = sum(not batch.is_live for batch in running.values())
        return self.are_on(now) and slots > 1 and others >= slots - 1


class _Estimates:
    """Seconds of one slot for a window of size 1, by model."""

    def __init__(self) -> None:
        self._seconds: dict[str, float] = {}

    @property
    def typical(self) -> float:
        """Mean of the models that have been measured."""
        return sum(self._seconds.values()) / len(self._seconds) if self._seconds else FIRST_ESTIMATE

    def total(self, items: Iterable[Item]) -> float:
        """Seconds of one slot for all of them."""
        return sum(item.size * self._seconds.get(item.key.model, FIRST_ESTIMATE) for item in items)

    def learn(self, batch: Batch, now: float) -> None:
        """Move the estimate towards the time that a batch took."""
        seconds = max(0.0, now - batch.formed_at) / sum(item.size for item in batch.items)
        known = self._seconds.get(batch.key.model, seconds)
        self._seconds[batch.key.model] = known + LEARNING_RATE * (seconds - known)


class Scheduler:
    """The queue of one runner process. Not thread-safe: the caller holds a lock.

    slots: batches that may run at once. max_batch: windows per batch, at most.
    cheap_batching: a large batch takes hardly longer than one window, as on a GPU. Where it does take longer, a window
    never shares a batch with windows of a request that has more of them waiting, and no request has more than
    MAX_PER_REQUEST windows in one batch.
    max_queue_seconds: no new request is admitted while it would wait longer than this.
    patience_seconds: no batch is overdue before this.
    Every `now` is in seconds on one monotonic clock.
    """

    def __init__(
        self,
        *,
        slots: int,
        max_batch: int,
        max_queue_seconds: float,
        cheap_batching: bool = False,
        patience_seconds: float = 120.0,
    ) -> None:
        self._max_queue_seconds = max_queue_seconds
        self._cheap_batching = cheap_batching
        self._patience_seconds = patience_seconds
        self.resize(slots, max_batch)
        self._halved = (max_batch, -math.inf)  # a smaller limit, and when it expires
        self._queue = FairQueue()
        self._running: dict[int, Batch] = {}
        self._admitted: dict[str, float] = {}  # owner -> last activity
        self._estimates = _Estimates()
        self._batch_ids = itertools.count()
        self._live = _LiveSessions()

    def resize(self, slots: int, max_batch: int) -> None:
        """Change the layout. Raises ValueError unless both are at least 1."""
        if slots < 1 or max_batch < 1:
            raise ValueError("slots and max_batch must be at least 1")
        self._slots = slots
        self._max_batch = max_batch

    @property
    def waiting(self) -> int:
        """Number of windows in the queue."""
        return len(self._queue)

    @property
    def running(self) -> int:
        """Number of batches on the device."""
        return len(self._running)

    def longest_wait(self, now: float) -> float:
        """Seconds since the longest-waiting request was last served; 0 when none waits."""
        return self._queue.longest_wait(now)

    def backlog(self, priority: Priority, caller: str | None = None) -> float:
        """Estimated seconds until a new request of that priority is served: windows ahead of it, and running ones.

        caller: whose request it is; None if all callers' windows count.
        """
        running = (item for batch in self._running.values() for item in batch.items)
        return self._estimates.total((*running, *self._queue.ahead_of(priority, caller))) / self._slots

    @property
    def window_seconds(self) -> float:
        """Estimated seconds by which one more window of size 1 moves the backlog."""
        return self._estimates.typical / self._slots

    def submit(self, item: Item, now: float) -> Item | None:
        """Put a window at the end of its request's queue. Returns the window of a live session that it replaces there.

        Raises ServiceUnavailable when the request is new and would wait too long. An admitted request is never refused
        half-way: its caller bounds the number of windows in flight.
        """
        self._admitted = {
            owner: active
            for owner, active in self._admitted.items()
            if now - active <= ADMISSION_SECONDS or owner in self._queue
        }
        owner = item.ticket.owner
        is_new = owner not in self._admitted
        if is_new and not item.admitted:
            _check_wait(self.backlog(item.ticket.priority, item.ticket.caller), self._max_queue_seconds)
        self._admitted[owner] = now
        if item.ticket.priority is Priority.LIVE:
            self._live.heard_at = now
            if replaced := self._queue.replace(item):
                return replaced
        self._queue.put(item, now, is_new=is_new)
        return None

    def cancel(self, item_id: int) -> bool:
        """Take a window out of the queue. False when it is not waiting there: it runs or is done."""
        return self._queue.remove(item_id)

    def next_batch(self, now: float) -> Batch | None:
        """The best compatible windows for one free slot, or None when nothing may start now.

        The batch counts as running until it is `finished`.
        """
        if len(self._running) >= self._slots:
            return None
        owner = self._queue.next_owner(now, only_live=self._live.have_last_slot(now, self._running, self._slots))
        if owner is None:
            return None
        if any(item.alone for batch in self._running.values() for item in batch.items):
            return None
        if self._queue.head(owner).alone and self._running:
            return None  # the running batches end soon, and nothing new starts before this one
        items = self._fill(owner, now)
        deadline = now + max(self._patience_seconds, PATIENCE * self._estimates.total(items))
        batch = Batch(next(self._batch_ids), items[0].key, tuple(items), now, deadline)
        self._running[batch.id] = batch
        return batch

    def finished(self, batch: Batch, now: float, *, learn: bool = True) -> None:
        """Free the slot of a batch and, unless it failed, learn from the time it took. now: when it ended."""
        del self._running[batch.id]
        for item in batch.items:
            self._admitted[item.ticket.owner] = now
        if learn and not batch.is_live:  # a draft takes less time than a file's window of the same length
            self._estimates.learn(batch, now)

    def ran_out_of_memory(self, windows: int, now: float) -> int:
        """Halve batches for HALVED_SECONDS after one of `windows` did not fit. Returns the new limit."""
        limit = max(1, min(windows, self.batch_limit(now)) // 2)
        self._halved = (limit, now + HALVED_SECONDS)
        return limit

    def batch_limit(self, now: float) -> int:
        """Maximum number of windows in a batch at present."""
        limit, until = self._halved
        return min(limit, self._max_batch) if now < until else self._max_batch

    def overdue(self, now: float) -> list[Batch]:
        """Batches past their deadline, which means that the device hangs."""
        return [batch for batch in self._running.values() if now > batch.deadline]

    def _fill(self, owner: str, now: float) -> list[Item]:
        """Take windows for one batch, first that of `owner`: a free slot's share of what waits, within the limits."""
        free = self._slots - len(self._running)
        room = min(self.batch_limit(now), math.ceil(len(self._queue) / free))
        if self._live.are_on(now) and not self._cheap_batching and not _is_live(self._queue.head(owner)):
            room = 1
        most_waiting = math.inf if self._cheap_batching else self._queue.length(owner)
        per_request = math.inf if self._cheap_batching else MAX_PER_REQUEST
        items = [self._queue.take(owner, now)]
        while len(items) < room and not items[0].alone:
            owners = [item.ticket.owner for item in items]
            full = [each for each in owners if owners.count(each) >= per_request]
            companion = self._queue.next_companion(items[0], full, most_waiting, now)
            if companion is None:
                break
            items.append(self._queue.take(companion, now))
        return items


def _is_live(item: Item) -> bool:
    return item.ticket.priority is Priority.LIVE


def _check_wait(wait: float, limit: float) -> None:
    if wait <= limit:
        return
    raise ServiceUnavailable(
        f"Too much work is waiting: about {wait:.0f} s, the limit is {limit:.0f} s. "
        "Try again later, or raise MAX_QUEUE_SECONDS.",
        retry_after=max(1.0, wait - limit),
    )
