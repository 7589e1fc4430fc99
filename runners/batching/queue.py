"""Waiting windows, one queue per request, served in turn. Decides only: no threads, no clock, no device.

Every waiting request has a turn, a place in one ring, and so has every caller. Interactive requests go before
background ones; then those of the caller that was served longest ago; then new requests before those that were served
already. A request passed over for AGEING_SECONDS is as urgent as a new interactive one.

Live sessions go before all of them, in turn, except that the others are served once in OTHERS_SECONDS. A newer window
of a session takes the place of a replaceable one.
"""

from __future__ import annotations

import itertools
import math
from collections import defaultdict, deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from transcription.core.audio import SAMPLE_RATE
from transcription.core.options import DecodeOptions, Priority, Ticket

ORDER = (Priority.LIVE, Priority.INTERACTIVE, Priority.BACKGROUND)
USUAL_SECONDS = 15.0  # of a window with a short encoder context, the longest that such files are cut into
# A window costs as much as this many seconds of audio, and what it holds: base, int8, clips of 3, 11 and 29 s, see
# decision 0055.
FIXED_SECONDS = 4.6
AGEING_SECONDS = 10.0  # a waiting request of a caller gets a window served about this often, at least
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


def size_of(samples: int) -> float:
    """The work in a window of so many samples at 16 kHz, relative to one of USUAL_SECONDS."""
    return (FIXED_SECONDS + samples / SAMPLE_RATE) / (FIXED_SECONDS + USUAL_SECONDS)


@dataclass(frozen=True, slots=True)
class Item:
    """A waiting window.

    id: unique for the life of the scheduler. size: see `size_of`.
    alone: it may crash the process, so nothing else runs on the device beside it.
    admitted: another runner has admitted its request.
    """

    id: int
    ticket: Ticket
    key: BatchKey
    size: float = 1.0
    alone: bool = False
    admitted: bool = False


@dataclass(slots=True)
class _Request:
    """Windows of one request, in order. turn: the lowest of the most urgent requests is served next."""

    priority: Priority
    caller: str
    turn: int
    served_at: float  # or when it arrived, before it is first served
    is_new: bool  # none of its windows has been served yet
    waiting: deque[Item] = field(default_factory=deque)

    @property
    def is_live(self) -> bool:
        return self.priority is Priority.LIVE


class FairQueue:
    """The windows of all requests. Not thread-safe: the caller holds a lock. `now`: seconds on one monotonic clock."""

    def __init__(self) -> None:
        self._requests: dict[str, _Request] = {}  # those with waiting windows, by owner
        self._turns = itertools.count()
        self._callers: dict[str, int] = {}  # the turn in which each was last served; at most one per API key
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

    def ahead_of(self, priority: Priority, caller: str | None = None) -> Iterator[Item]:
        """The windows that are served before those of a new request of that priority.

        caller: whose request it is, so that of each other caller's windows of the same priority only as many count as
        have turns before it; None to count all.
        """
        equal: dict[str, list[Item]] = defaultdict(list)
        for request in self._requests.values():
            if request.priority is priority:
                equal[request.caller].extend(request.waiting)
            elif ORDER.index(request.priority) < ORDER.index(priority):
                yield from request.waiting
        turns = len(equal.get(caller, ())) + 1 if caller is not None else None
        for other, items in equal.items():
            yield from items if other == caller else items[:turns]

    def put(self, item: Item, now: float, *, is_new: bool) -> None:
        """Append a window to its request's queue. is_new: the request has not been served before."""
        owner = item.ticket.owner
        if owner not in self._requests:
            ticket = item.ticket
            self._requests[owner] = _Request(ticket.priority, ticket.caller, next(self._turns), now, is_new)
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
        others_first = _others_starve(self._requests.values(), self._others_at, now)
        return min(
            (owner for owner, request in self._requests.items() if request.is_live or not only_live),
            key=lambda owner: self._rank(owner, now, others_first),
            default=None,
        )

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
            and request.is_live is live
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
        if not request.is_live:
            self._callers[request.caller] = request.turn
            self._others_at = now
        self._drop_if_empty(owner)
        return item

    def _rank(self, owner: str, now: float, others_first: bool) -> tuple[int, bool, int, bool, int]:
        """The sort key of a request; the lowest is served next. others_first: than live sessions."""
        request = self._requests[owner]
        if request.is_live:
            return 1, False, 0, False, request.turn
        aged = now - request.served_at >= AGEING_SECONDS
        interactive = aged or request.priority is Priority.INTERACTIVE
        first = aged or (interactive and request.is_new)
        turn = self._callers.get(request.caller, -1)
        return 0 if others_first else 2, not interactive, turn, not first, request.turn

    def _drop_if_empty(self, owner: str) -> None:
        if not self._requests[owner].waiting:
            del self._requests[owner]


def _others_starve(requests: Iterable[_Request], served_at: float, now: float) -> bool:
    """Whether a request that is not live waits, and none of them was served for OTHERS_SECONDS.

    served_at: when one of them was last served.
    """
    waiting = min((request.served_at for request in requests if not request.is_live), default=math.inf)
    return now - max(served_at, waiting) >= OTHERS_SECONDS
