"""Requests that the pool has begun to serve. Decides only."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable

ADMISSION_SECONDS = 60.0  # as in `runners.batching.scheduler`
MAX_OWNERS = 100_000


class Admissions:
    """Remembers owners until they have been silent for ADMISSION_SECONDS, the latest MAX_OWNERS of them.

    clock: monotonic seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._active: OrderedDict[str, float] = OrderedDict()

    def has(self, owner: str) -> bool:
        """Whether a runner has taken a window of it lately."""
        return self._clock() - self._active.get(owner, -ADMISSION_SECONDS) < ADMISSION_SECONDS

    def add(self, owner: str) -> None:
        """A runner has taken a window of it."""
        now = self._clock()
        self._active[owner] = now
        self._active.move_to_end(owner)
        while len(self._active) > MAX_OWNERS or now - next(iter(self._active.values())) >= ADMISSION_SECONDS:
            self._active.popitem(last=False)
