"""The schedule of messages to Celery workers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from transcription.jobs.job import Job
from transcription.jobs.store.redis.steps import RedisSteps


@dataclass(frozen=True, slots=True)
class Unsent:
    """A job whose message is due.

    attempt: number of attempts begun so far. seconds: of audio, None while unknown. waiting: seconds since acceptance.
    """

    id: str
    attempt: int
    seconds: float | None
    waiting: float


class RedisMessages(RedisSteps):
    """The schedule of messages. A job exists before its message does, so a message that is lost is sent again."""

    async def unsent(self, limit: int, *, idle: bool) -> list[Unsent]:
        """Jobs whose message is due, about `limit` at most.

        They are due again after policy.UNCONFIRMED_SECONDS unless `sent` is called. idle: the broker holds no message,
        so any job that still waits for an attempt, the first or another, needs a new one.
        """
        rows = await self._step("unsent", limit=limit, idle=idle)
        return [
            Unsent(name.decode(), int(attempt), None if seconds is None else float(seconds), float(waiting))
            for name, attempt, seconds, waiting in rows
        ]

    async def claim_for_message(self, owner: str, job_id: str) -> Job | None:
        """Begin an attempt of the job that is next, for a worker that received the message about `job_id`.

        A message only says that a job is due. Otherwise jobs would begin in the order of their messages, and those of
        one caller would wait for all that another has submitted before. The order is that of `Queue.claim`, but
        interrupted jobs are first, then short recordings and jobs that have waited long, then the others.
        """
        return await self._claimed("claim_for_message", owner=owner, message=job_id)

    async def sent(self, messages: Sequence[Unsent]) -> None:
        """Record accepted messages. One whose job has not begun after policy.RESEND_SECONDS counts as lost."""
        await self._step("sent", attempts={message.id: message.attempt for message in messages})
