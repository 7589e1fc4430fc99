"""The base of the parts of the Redis store: the connection, the script, and the execution of its steps."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import structlog
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import ExponentialBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError, ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError

from transcription.core.errors import (
    InsufficientStorage,
    NewerStore,
    OutcomeUnknown,
    ResultUnavailable,
    ServiceUnavailable,
)
from transcription.core.transcript import Transcript
from transcription.jobs.job import Job
from transcription.jobs.policy import STORE_POLICY
from transcription.jobs.recordings.results import ResultFiles
from transcription.jobs.store.base import LeaseLost
from transcription.jobs.store.redis.connection import Primary, is_full, open_redis
from transcription.jobs.store.redis.rows import job_of
from transcription.jobs.store.redis.schema import MINIMUM_READER, NEWER, SCHEMA_VERSION
from transcription.jobs.store.redis.script import load_script
from transcription.jobs.store.rows import RECORDING, file_of, pack_failure, unpack_transcript
from transcription.jobs.store.unreadable import READ_ERRORS, reason_of, seconds, unreadable_result

log = structlog.get_logger(__name__)

# The hash tag keeps all keys on one node of a cluster, as a script requires. Each database has its own keys.
PREFIX = "{transcription}"
CONNECT_SECONDS = 2.0
ANSWER_SECONDS = 3.0
REPLICA_SECONDS = 1.0  # for the confirmation of a replica; usually a millisecond
RETRIES = 2  # of a command whose connection broke
MAX_RETRY_SECONDS = 0.5  # the pause before a retry
MAX_CONNECTIONS = 64  # per process
RETRY_AFTER, FULL_RETRY_SECONDS = 5.0, 60.0  # for clients
NEEDS_REPLICAS = "min_slaves_good_slaves"  # in INFO only with min-replicas-to-write


class RedisSteps:
    """Runs steps of the Lua script in one Redis database. The parts of the store derive from it.

    A step whose answer was lost is sent again: every step is safe to repeat.
    """

    def __init__(
        self,
        url: str,
        *,
        result_ttl: float,
        caching: bool = True,
        clock: Callable[[], float] | None = None,
        files: ResultFiles | None = None,
    ) -> None:
        """Connects at the first step. All steps must run in one event loop.

        url: as REDIS_URL. result_ttl: seconds for which finished jobs and results are kept. caching: whether
        a stored result answers later identical requests. clock: seconds since the epoch; None for the clock of Redis.
        files: where large transcripts are; None for a process that neither stores nor reads any.
        """
        self._redis = open_redis(
            url,
            connect_seconds=CONNECT_SECONDS,
            answer_seconds=ANSWER_SECONDS,
            max_connections=MAX_CONNECTIONS,
            retry=Retry(
                ExponentialBackoff(MAX_RETRY_SECONDS, base=0.05), RETRIES, (RedisConnectionError, RedisTimeoutError)
            ),
        )
        self._primary = Primary(self._redis)
        self._script = self._redis.register_script(load_script())
        self._ttl = result_ttl
        self._caching = caching
        self._clock = clock
        self._files = files

    async def _step(self, name: str, payload: str | bytes = b"", **values: Any) -> Any:
        await self._primary.follow()
        return await self._run(self._redis, name, payload, values)

    async def _run(self, client: Redis, name: str, payload: str | bytes, values: dict[str, Any]) -> Any:
        given = {"ttl": self._ttl, "policy": STORE_POLICY, "schema": (SCHEMA_VERSION, MINIMUM_READER), **values}
        if self._clock:
            given["now"] = self._clock()
        arguments = json.dumps({key: value for key, value in given.items() if value is not None})
        with redis_errors():
            return await self._script(keys=[PREFIX], args=[name, arguments, payload], client=client)

    async def _replicated_step(self, name: str, payload: str | bytes = b"", **values: Any) -> Any:
        """As `_step`; with Sentinels a replica has the change as well, if one confirms it within REPLICA_SECONDS.

        Raises OutcomeUnknown if none does and Redis has orders not to write without one.
        """
        if not self._primary.is_elected:
            return await self._step(name, payload, **values)
        await self._primary.follow()
        # WAIT is about the changes of its own connection.
        async with self._redis.client() as one:
            answer = await self._run(one, name, payload, values)
            with redis_errors():
                confirmed = await one.wait(1, int(REPLICA_SECONDS * 1000))
                is_needed = not confirmed and NEEDS_REPLICAS in await one.info("replication")
        if not confirmed:
            log.warning("not_replicated", step=name, remedy="check the replicas of the Redis at REDIS_URL")
        if is_needed:
            raise OutcomeUnknown("No replica of the Redis that keeps jobs answers.", retry_after=RETRY_AFTER)
        return answer

    async def _step_of_job(self, name: str, job_id: str) -> Any:
        """As `_step`, and once more if the job is unknown: a former primary does not know newer jobs."""
        found = await self._step(name, id=job_id)
        if not found and self._primary.is_elected:
            await self._primary.follow(believe=0)
            found = await self._step(name, id=job_id)
        return found

    async def _job(self, name: str, **values: Any) -> Job | None:
        shown = await self._step(name, **values)
        return job_of(shown) if shown else None

    async def _change(
        self, lease: Job, name: str, payload: str | bytes = b"", *, replicated: bool = False, **values: Any
    ) -> None:
        """Run a step that changes the leased job. replicated: as `_replicated_step`. Raises LeaseLost."""
        step = self._replicated_step if replicated else self._step
        if not await step(name, payload, id=lease.id, attempt=lease.attempt, **values):
            raise LeaseLost(lease.id)

    async def _transcript(self, name: str, **values: Any) -> Transcript | None:
        """The transcript of a result. One that cannot be read is deleted, and every job that shows it fails.

        Raises ResultUnavailable if its file cannot be read. The result stays: other machines may be able to.
        """
        found = await self._step(name, **values)
        if not found:
            return None
        result, duration, packed = found
        try:
            seconds(float(duration))  # a job that this result completes gets it
            return await self._read(packed)
        except READ_ERRORS as error:
            failure = unreadable_result(reason_of(error))
        # The id of the result may be damaged, too: as payload, because JSON carries only text.
        await self._step("drop_unreadable_result", result, id=values.get("id"), failure=pack_failure(failure))
        log.error("unreadable_result", reason=failure.detail)
        return None

    async def _placed(self, packed: bytes) -> tuple[str | bytes, str | None]:
        """What Redis is given of a transcript, and the name of its file, if it has one.

        The file is written first. Until the step that refers to it, and for good if that fails, it is left to the
        sweep of the recording store. Raises ServiceUnavailable.
        """
        file = await self._files.keep(packed) if self._files else None
        return (RECORDING.pack(file), file.name) if file else (packed, None)

    async def _read(self, stored: bytes) -> Transcript:
        """The transcript of which Redis has this. Raises one of READ_ERRORS, ResultUnavailable."""
        file = file_of(stored)
        if file is None:
            return await asyncio.to_thread(unpack_transcript, stored)
        if self._files is None:
            raise ResultUnavailable("This process reads no results from the recording store.")
        return await asyncio.to_thread(unpack_transcript, await self._files.read(file))

    async def _claimed(self, name: str, **values: Any) -> Job | None:
        """The first job of a step that claims one which can be read; those before it fail."""
        job = await self._job(name, **values)
        while job and not job.readable:
            await self._fail_unreadable(job)
            job = await self._job(name, **values)
        return job

    async def _fail_unreadable(self, job: Job) -> None:
        """Fail a job that cannot be read, unless it has failed already."""
        assert job.failure is not None
        if await self._step("fail_unreadable", id=job.id, failure=pack_failure(job.failure)):
            log.error("unreadable_job", job_id=job.id, reason=job.failure.detail)


@contextmanager
def redis_errors() -> Iterator[None]:
    """Translates errors of the Redis client to errors of this service."""
    try:
        yield
    except (RedisConnectionError, RedisTimeoutError) as error:
        raise OutcomeUnknown(
            "The Redis that keeps jobs does not answer. Try again in a moment.", str(error), retry_after=RETRY_AFTER
        ) from error
    except ResponseError as error:
        if NEWER in str(error):
            raise NewerStore(
                f"The jobs in Redis have version {str(error).rpartition(NEWER)[2].strip()}; this program supports "
                f"versions up to {SCHEMA_VERSION}. Run the newer program, or set another database in REDIS_URL for "
                "this one.",
                retry_after=RETRY_AFTER,
            ) from error
        raise _rejected(error) from error
    except RedisError as error:
        raise _rejected(error) from error


def _rejected(error: RedisError) -> ServiceUnavailable:
    if is_full(error):
        return InsufficientStorage(
            "The Redis that keeps jobs is full. Try again later, or tell the operator.",
            str(error),
            retry_after=FULL_RETRY_SECONDS,
        )
    return ServiceUnavailable(
        "The Redis that keeps jobs rejected the command. Try again in a moment; if it happens again, tell the "
        "operator.",
        str(error),
        retry_after=RETRY_AFTER,
    )
