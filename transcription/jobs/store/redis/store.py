"""Jobs in Redis: any number of machines share them. The steps themselves are in `scripts/`, in Lua."""

from __future__ import annotations

import asyncio
import json
import statistics
import zlib
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import structlog
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import ExponentialBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError, ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError

from transcription.core.errors import Failure, OutcomeUnknown, ServiceUnavailable
from transcription.core.transcript import PlacedResult, Transcript
from transcription.jobs.job import Ahead, Census, Delivery, Job, JobSnapshot, JobStatus, NewJob
from transcription.jobs.policy import STORE_POLICY
from transcription.jobs.store.base import LeaseLost, key_of_another
from transcription.jobs.store.redis.rows import fields_of, job_of
from transcription.jobs.store.redis.script import load_script
from transcription.jobs.store.rows import PLACED, pack_failure, pack_transcript, unpack_transcript

# The hash tag keeps all keys on one node of a cluster, as one script must find them. Databases of one Redis are apart.
PREFIX = "{transcription}"
CONNECT_SECONDS = 2.0
ANSWER_SECONDS = 3.0
REPEATED = 2  # times that a command is sent again when the connection breaks
LONGEST_PAUSE = 0.5  # seconds before that
CONNECTIONS = 64  # of one process
FAST = 1  # zlib's level: half of what the best saves, in a tenth of the time
EXPIRED_AT_ONCE = 100  # jobs deleted in one step, so that others get their turn
RETRY_AFTER = 5.0  # seconds, for clients

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Unsent:
    """A job about which workers have to be told.

    attempt: how often it was begun. seconds: of audio, None while unknown. waiting: seconds since it was accepted.
    """

    id: str
    attempt: int
    seconds: float | None
    waiting: float


class RedisStore:
    """`transcription.jobs.store.base.JobStore` in one database of a Redis; Celery's messages and rate limits may
    be there, too.

    A step that was sent and not answered is sent again: every one of them may be, without harm. Redis has to write
    down what it answers (`appendonly yes`), and to refuse rather than forget when it is full (`noeviction`).
    """

    def __init__(
        self, url: str, *, result_ttl: float, caching: bool = True, clock: Callable[[], float] | None = None
    ) -> None:
        """Nothing is connected to before the first step. All steps belong to one event loop.

        url: redis:// or rediss://. result_ttl: seconds that finished jobs and results are kept. caching: whether a
        result answers who asks the same after the work is done. clock: seconds since the epoch, of Redis if None.
        """
        self._redis = Redis.from_url(
            url,
            socket_connect_timeout=CONNECT_SECONDS,
            socket_timeout=ANSWER_SECONDS,
            max_connections=CONNECTIONS,
            retry=Retry(
                ExponentialBackoff(LONGEST_PAUSE, base=0.05), REPEATED, (RedisConnectionError, RedisTimeoutError)
            ),
        )
        self._script = self._redis.register_script(load_script())
        self._ttl = result_ttl
        self._caching = caching
        self._clock = clock

    # The client's side

    async def submit(self, new: NewJob) -> tuple[Job, bool]:
        outcome, shown = await self._step(
            "submit", fields=fields_of(new), recording_name=new.recording.name, caching=self._caching
        )
        if outcome == b"conflict":
            raise key_of_another(job_of(shown).id)
        return job_of(shown), outcome == b"new"

    async def get(self, job_id: str) -> Job | None:
        return await self._job("get", id=job_id)

    async def list_jobs(self, statuses: Collection[JobStatus], before: int | None, limit: int) -> list[Job]:
        names = [status.value for status in statuses]
        return [job_of(shown) for shown in await self._step("list", statuses=names, before=before, limit=limit)]

    async def snapshot(self, job_id: str) -> JobSnapshot | None:
        """As the interface says. Where more than 500 works are before the job, seconds are those of the first 500."""
        found = await self._step("snapshot", id=job_id)
        if not found:
            return None
        shown, count, seconds, unknown, processing, speeds = found
        speed = statistics.median(map(float, speeds)) if speeds else None
        return JobSnapshot(job_of(shown), Ahead(count, float(seconds), unknown), speed, processing)

    async def census(self) -> Census:
        flat, oldest = await self._step("census")
        counts = {JobStatus(name.decode()): count for name, count in zip(flat[::2], flat[1::2], strict=True)}
        kept = {status: count for status, count in counts.items() if count}
        return Census(kept, None if oldest is None else float(oldest))

    async def cancel(self, job_id: str) -> Job | None:
        return await self._job("cancel", id=job_id)

    async def retry(self, job_id: str) -> Job | None:
        return await self._job("retry", id=job_id)

    async def delete(self, job_id: str) -> None:
        await self._step("delete", id=job_id)

    async def result(self, job_id: str) -> Transcript | None:
        return await self._transcript("result", id=job_id)

    # Work done for somebody who waits

    async def cached(self, work: str) -> Transcript | None:
        return await self._transcript("cached", work=work) if self._caching else None

    async def remember(self, work: str, transcript: Transcript) -> None:
        if self._caching:
            packed = await asyncio.to_thread(pack_transcript, transcript)
            await self._step("remember", packed, work=work, duration=transcript.duration)

    # The worker's side

    async def claim(self, owner: str, job_id: str | None = None) -> Job | None:
        return await self._job("claim", owner=owner, id=job_id)

    async def renew(self, lease: Job) -> None:
        await self._change(lease, "renew")

    async def examined(self, job_id: str, seconds: float | None) -> None:
        await self._step("examined", id=job_id, seconds=seconds)

    async def checkpoint(self, lease: Job, position: int, placed: PlacedResult, total: float | None) -> None:
        values = {"position": position, "done": placed.timeline.end, "total": total}
        await self._change(lease, "checkpoint", zlib.compress(PLACED.pack(placed).encode(), FAST), **values)

    async def checkpoints(self, work: str, start: int = 0) -> Sequence[PlacedResult]:
        windows = await self._step("checkpoints", work=work, start=start)
        return [PLACED.unpack(zlib.decompress(window.partition(b" ")[2])) for window in windows]

    async def complete(self, lease: Job, transcript: Transcript) -> None:
        packed = await asyncio.to_thread(pack_transcript, transcript)
        await self._change(lease, "complete", packed, duration=transcript.duration)

    async def fail(self, lease: Job, failure: Failure) -> None:
        await self._change(lease, "fail", failure=pack_failure(failure))

    async def postpone(self, lease: Job, delay: float) -> None:
        await self._change(lease, "requeue", delay=delay, failures=1)

    async def release(self, lease: Job) -> None:
        await self._change(lease, "requeue", failures=0)

    async def refuse(self, job_id: str, failure: Failure) -> bool:
        return bool(await self._step("refuse", id=job_id, failure=pack_failure(failure)))

    # Messages to the workers

    async def unsent(self, limit: int, *, idle: bool) -> list[Unsent]:
        """Jobs about which a message is due, at most about `limit`. They are due again soon unless `sent` says so.

        idle: the broker has no message, so that whatever was sent and not begun is lost.
        """
        rows = await self._step("unsent", limit=limit, idle=idle)
        return [
            Unsent(name.decode(), int(attempt), None if seconds is None else float(seconds), float(waiting))
            for name, attempt, seconds, waiting in rows
        ]

    async def sent(self, messages: Sequence[Unsent]) -> None:
        """The broker has the messages. One whose job is not begun for a long time counts as lost."""
        await self._step("sent", attempts={message.id: message.attempt for message in messages})

    # Webhooks

    async def claim_delivery(self, lease_seconds: float) -> Job | None:
        return await self._job("claim_delivery", lease_seconds=lease_seconds)

    async def settle_delivery(self, job_id: str, delivery: Delivery) -> None:
        tried, state = delivery.attempts, delivery.state.value
        await self._step(
            "settle_delivery", id=job_id, attempts=tried, state=state, next_at=delivery.next_at, detail=delivery.detail
        )

    # Housekeeping

    async def expire(self) -> None:
        while await self._step("expire", limit=EXPIRED_AT_ONCE):
            pass

    async def recordings_in_use(self) -> frozenset[str]:
        return frozenset(name.decode() for name in await self._step("recordings"))

    async def back_up(self) -> None:
        """Redis writes its own log, which docs/DEPLOYMENT.md says how to copy. Here it is said when it does not."""
        for weakness in await self.weaknesses():
            log.warning("redis_may_lose_jobs", reason=weakness)

    async def close(self) -> None:
        await self._redis.aclose()

    async def weaknesses(self) -> list[str]:
        """What this Redis is set to that may cost jobs, as far as it tells; for a person. Raises ServiceUnavailable."""
        with _errors():
            try:
                known = {**await self._redis.config_get("appendonly"), **await self._redis.config_get("maxmemory*")}
            except ResponseError:  # servers of others do not show their configuration
                return []
        found = []
        if known.get("appendonly") == "no":
            found.append("appendonly is no: jobs are lost when Redis restarts. Set appendonly yes, appendfsync always.")
        if known.get("maxmemory") != "0" and known.get("maxmemory-policy") != "noeviction":
            found.append("maxmemory-policy lets Redis forget jobs when it is full. Set it to noeviction.")
        return found

    async def _step(self, name: str, payload: str | bytes = b"", **values: Any) -> Any:
        given = {"ttl": self._ttl, "policy": STORE_POLICY, **values}
        if self._clock:
            given["now"] = self._clock()
        arguments = json.dumps({key: value for key, value in given.items() if value is not None})
        with _errors():
            return await self._script(keys=[PREFIX], args=[name, arguments, payload])

    async def _job(self, name: str, **values: Any) -> Job | None:
        shown = await self._step(name, **values)
        return job_of(shown) if shown else None

    async def _change(self, lease: Job, name: str, payload: str | bytes = b"", **values: Any) -> None:
        """A step of a valid lease. Raises LeaseLost."""
        if not await self._step(name, payload, id=lease.id, attempt=lease.attempt, **values):
            raise LeaseLost(lease.id)

    async def _transcript(self, name: str, **values: Any) -> Transcript | None:
        packed = await self._step(name, **values)
        return unpack_transcript(packed) if packed else None


@contextmanager
def _errors() -> Iterator[None]:
    """Redis's errors as ours."""
    try:
        yield
    except (RedisConnectionError, RedisTimeoutError) as error:
        raise OutcomeUnknown(
            "The Redis that keeps jobs does not answer. Try again in a moment.", str(error), retry_after=RETRY_AFTER
        ) from error
    except RedisError as error:
        raise ServiceUnavailable(
            "The Redis that keeps jobs refuses to. Try again in a moment, or tell the operator.",
            str(error),
            retry_after=RETRY_AFTER,
        ) from error
