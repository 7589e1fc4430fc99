"""Tells the workers what to do: whatever the store says is due goes to the broker, by whichever process comes first.

A job is in the store before its message is anywhere, so a crash between the two, a broker that forgets, and a worker
that dies all look the same: the job is due and nobody begins it. Then it is sent again.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from typing import Protocol

import structlog

from transcription.core.errors import ServiceUnavailable
from transcription.jobs.cluster.broker import Message, priority_of
from transcription.jobs.store.redis.messages import Unsent

POLL_SECONDS = 1.0  # of an API replica; there are few of them
WORKERS_POLL_SECONDS = 10.0  # of a worker; there may be thousands
SENT_AT_ONCE = 100

log = structlog.get_logger(__name__)


class MessageSchedule(Protocol):
    """The part of a RedisStore that is needed here."""

    async def unsent(self, limit: int, *, idle: bool) -> list[Unsent]: ...

    async def sent(self, messages: Sequence[Unsent]) -> None: ...


class MessageQueue(Protocol):
    """The part of a Broker that is needed here."""

    async def send(self, messages: Sequence[Message]) -> None: ...

    async def is_empty(self) -> bool: ...


class Dispatcher:
    """One a process; any number of them may share a store."""

    def __init__(self, schedule: MessageSchedule, queue: MessageQueue, poll_seconds: float = POLL_SECONDS) -> None:
        """poll_seconds: between two looks when nobody calls `wake`."""
        self._schedule = schedule
        self._queue = queue
        self._poll_seconds = poll_seconds
        self._news = asyncio.Event()

    async def run(self) -> None:
        """Until it is cancelled."""
        while True:
            self._news.clear()
            try:
                while await self.send_due() == SENT_AT_ONCE:
                    pass
            except ServiceUnavailable as error:  # what was not sent is due again soon
                log.warning("jobs_wait", reason=error.message, detail=error.detail)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._poll_seconds):
                    await self._news.wait()

    def wake(self) -> None:
        """There may be something to send."""
        self._news.set()

    def abandon(self, job_id: str) -> None:
        """Whoever works on it finds out by its next heartbeat."""

    async def send_due(self) -> int:
        """Send what is due now, at most SENT_AT_ONCE, and say how many. Raises ServiceUnavailable."""
        due = await self._schedule.unsent(SENT_AT_ONCE, idle=await self._queue.is_empty())
        if due:
            await self._queue.send([Message(job.id, priority_of(job.attempt, job.seconds, job.waiting)) for job in due])
            await self._schedule.sent(due)
        return len(due)
