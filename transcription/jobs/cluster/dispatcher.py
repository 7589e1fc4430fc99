"""Sends a message to the workers for every job that the store reports as due. Any number of processes may do so.

A job is stored before its message is sent. A crash in between, a message lost by the broker and a worker that died look
the same in the store: a job that is due and was not begun. Its message is sent again.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from typing import Protocol

from transcription.jobs.cluster.broker import Message, priority_of
from transcription.jobs.store.redis.messages import Unsent
from transcription.telemetry.background import going_on

POLL_SECONDS = 1.0  # of an API replica, of which there are few
WORKERS_POLL_SECONDS = 10.0  # of a worker, of which there may be thousands
BATCH_SIZE = 100


class MessageSchedule(Protocol):
    """The part of a RedisStore that is needed here."""

    async def unsent(self, limit: int, *, idle: bool) -> list[Unsent]: ...

    async def sent(self, messages: Sequence[Unsent]) -> None: ...


class MessageQueue(Protocol):
    """The part of a Broker that is needed here."""

    async def send(self, messages: Sequence[Message]) -> None: ...

    async def is_empty(self) -> bool: ...


class Dispatcher:
    """Sends messages for due jobs. One per process; several processes may share one store."""

    def __init__(self, schedule: MessageSchedule, queue: MessageQueue, poll_seconds: float = POLL_SECONDS) -> None:
        """poll_seconds: between two queries of the store unless `wake` is called."""
        self._schedule = schedule
        self._queue = queue
        self._poll_seconds = poll_seconds
        self._woken = asyncio.Event()

    async def run(self) -> None:
        """Send messages until cancelled."""
        while True:
            self._woken.clear()
            with going_on("dispatch"):  # unsent messages are due again soon
                while await self.send_due() == BATCH_SIZE:
                    pass
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._poll_seconds):
                    await self._woken.wait()

    def wake(self) -> None:
        """Look for due messages now."""
        self._woken.set()

    def abandon(self, job_id: str) -> None:
        """Nothing to do: the worker notices at its next heartbeat."""

    async def send_due(self) -> int:
        """Send at most BATCH_SIZE due messages, and return their number. Raises ServiceUnavailable."""
        due = await self._schedule.unsent(BATCH_SIZE, idle=await self._queue.is_empty())
        if due:
            await self._queue.send([Message(job.id, priority_of(job.attempt, job.seconds, job.waiting)) for job in due])
            await self._schedule.sent(due)
        return len(due)
