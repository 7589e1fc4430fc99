"""Waiting windows, one queue per request, served in turn. Decides only: no threads, no clock, no device.

Every waiting request has a turn, a place in one ring. New requests go before those that were served already, and
interactive requests before background ones, except that a request passed over for AGEING_SECONDS is as urgent as a new
one and has the older turn.

Live sessions go before all of them, in turn, except that the others are served once in OTHERS_SECONDS. A newer window
of a session takes the place of a replaceable one.
"""

from __future__ import annotations

import itertools
import math
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from transcription.core.options import DecodeOptions, Priority, Ticket

ORDER = (Priority.LIVE, Priority.INTERACTIVE, Priority.BACKGROUND)
AGEING_SECONDS = 10.0  # a waiting request gets a window served about this often, at least
OTHERS_SECONDS = 2.0  # other requests get a batch this often, at least, beside live sessions


class BatchKey(NamedTuple):
    """The options that windows decoded in one call must share; language, task and thresholds may differ.

    The prompts are among them because CTranslate2 requires prompts of equal length.
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
    """A waiting window.

    id: unique for the life of the scheduler.
    alone: it may crash the process, so nothing else runs on the device beside it.
    """

    id: int
    ticket: Ticket
    key: BatchKey
    alone: bool = False


@dataclass(slots=True)
class _Request:
    """Windows of one request, in order. turn: the lowest of the most urgent requests is served next."""

    priority: Priority
    turn: int
    served_at: float  # or when it arrived, before it is first served
    is_new: bool  # none of its windows has been served yet
    waiting: deque[Item] = field(default_factory=deque)


class FairQueue:
    """The windows of all requests. Not thread-safe: the caller holds a lock. `now`: seconds on one monotonic clock."""

    def __init__(self) -> None:
        self._requests: dict[str, _Request] = {}  # those with waiting windows, by owner
        self._turns = itertools.count()
        self._others_at = -math.inf  # when a request that is not live was last served

    def __len__(self) -> int:
        """Number of waiting windows."""
        return sum(len(request.waiting) for request in self._requests.values())

    def __contains__(self, owner: str) -> bool:
        """Whether a request has waiting windows."""
        return owner in self._requests

    def longest_wait(self, now: float) -> float:
        """Seconds since the longest-waiting request was last served; 0 when none waits."""
        return max((now - request.served_at for request in self._requests.values()), default=0.0)

    def ahead_of(self, priority: Priority) -> Iterator[Item]:
        """Number of windows that are served before those of a new request of that priority."""
        for request in self._requests.values():
            if ORDER.index(request.priority) <= ORDER.index(priority):
                yield from request.waiting

    def put(self, item: Item, now: float, *, is_new: bool) -> None:
        """Append a window to its request's queue. is_new: the request has not been served before."""
        owner = item.ticket.owner
        if owner not in self._requests:
            self._requests[owner] = _Request(item.ticket.priority, next(self._turns), now, is_new)
        self._requests[owner].waiting.append(item)

    def replace(self, item: Item) -> Item | None:
        """Put a window in the place of the request's replaceable one, which is returned; None if it has none."""
        request = self._requests.get(item.ticket.owner)
        if request is None or not request.waiting[-1].ticket.replaceable:
            return None
        replaced = request.waiting.pop()
        request.waiting.append(item)
        return replaced

    def remove(self, item_id: int) -> bool:
        """Take a window out of the queue. False when it is not waiting."""
        for owner, request in self._requests.items():
            for item in request.waiting:
                if item.id == item_id:
                    request.waiting.remove(item)
                    self._drop_if_empty(owner)
                    return True
        return False

    def next_owner(self, now: float, *, only_live: bool = False) -> str | None:
        """The request whose turn it is, or None when none waits. only_live: consider live sessions only."""
        others_first = self._others_starve(now)
        return min(
            (owner for owner in self._requests if not only_live or self.is_live(owner)),
            key=lambda owner: self._rank(owner, now, others_first),
            default=None,
        )

    def is_live(self, owner: str) -> bool:
        """Whether a waiting request is a live session."""
        return self._requests[owner].priority is Priority.LIVE

    def next_companion(self, first: Item, full: Sequence[str], most_waiting: float, now: float) -> str | None:
        """The request whose next window joins a batch that starts with `first`, or None when none may.

        full: owners that have as many windows in the batch as they may have.
        most_waiting: requests with more waiting windows than this must not join.
        """
        live = first.ticket.priority is Priority.LIVE
        fitting = [
            owner
            for owner, request in self._requests.items()
            if owner not in full
            and request.waiting[0].key == first.key
            and self.is_live(owner) is live
            and not request.waiting[0].alone
            and len(request.waiting) <= most_waiting
        ]
        return min(fitting, key=lambda owner: self._rank(owner, now, others_first=False), default=None)

    def head(self, owner: str) -> Item:
        """The next window of a request."""
        return self._requests[owner].waiting[0]

    def length(self, owner: str) -> int:
        """Number of waiting windows of one request."""
        return len(self._requests[owner].waiting)

    def take(self, owner: str, now: float) -> Item:
        """Remove and return the next window of a request, which goes to the end of the ring."""
        request = self._requests[owner]
        item = request.waiting.popleft()
        request.turn = next(self._turns)
        request.served_at = now
        request.is_new = False
        if request.priority is not Priority.LIVE:
            self._others_at = now
        self._drop_if_empty(owner)
        return item

    def _rank(self, owner: str, now: float, others_first: bool) -> tuple[int, int, int]:
        """The sort key of a request; the lowest is served next. others_first: than live sessions."""
        request = self._requests[owner]
        if request.priority is Priority.LIVE:
            return 1, 0, request.turn
        group = 0 if others_first else 2
        if now - request.served_at >= AGEING_SECONDS:
            return group, 0, request.turn
        if request.priority is Priority.BACKGROUND:
            return group, 2, request.turn
        return group, 0 if request.is_new else 1, request.turn

    def _others_starve(self, now: float) -> bool:
        """Whether a request that is not live waits, and none of them was served for OTHERS_SECONDS."""
        waiting = (each.served_at for each in self._requests.values() if each.priority is not Priority.LIVE)
        return now - max(self._others_at, min(waiting, default=math.inf)) >= OTHERS_SECONDS

    def _drop_if_empty(self, owner: str) -> None:
        if not self._requests[owner].waiting:
            del self._requests[owner]
