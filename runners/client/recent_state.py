"""The runner's latest state, cached for callers that ask often and must not wait for its process."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from copy import copy

from runners.client.interface import Runner, RunnerState
from transcription.core.errors import ServiceUnavailable

FRESH_SECONDS = 1.0  # the runner is asked at most this often
STALE_SECONDS = 5.0  # an older answer is not returned; the next one is awaited


class RecentState:
    """Asks the runner at most once per FRESH_SECONDS, however many callers there are.

    clock: monotonic seconds.
    """

    def __init__(self, runner: Runner, clock: Callable[[], float] = time.monotonic) -> None:
        self._runner = runner
        self._clock = clock
        self._asking: asyncio.Task[None] | None = None
        self._asked_at = -STALE_SECONDS
        self._answer: RunnerState | ServiceUnavailable | None = None
        self._answered_at = -STALE_SECONDS

    async def get(self) -> RunnerState:
        """The state, at most STALE_SECONDS old. Raises ServiceUnavailable."""
        now = self._clock()
        if now - self._asked_at >= FRESH_SECONDS and (self._asking is None or self._asking.done()):
            self._asked_at = now
            self._asking = asyncio.create_task(self._ask())
        if self._asking and (self._answer is None or now - self._answered_at >= STALE_SECONDS):
            await asyncio.shield(self._asking)  # other callers await it, too
        if isinstance(self._answer, ServiceUnavailable):
            raise copy(self._answer)  # one object would collect the tracebacks of all callers
        assert self._answer is not None
        return self._answer

    async def _ask(self) -> None:
        try:
            self._answer = await self._runner.state()
        except ServiceUnavailable as error:
            self._answer = copy(error)  # without its traceback, which holds frames
        self._answered_at = self._clock()
