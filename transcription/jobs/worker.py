"""Works on stored jobs: claims one, takes it through the pipeline, writes down every window, ends it."""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from enum import Enum, auto
from functools import partial

import structlog

from runners.client.interface import Runner
from transcription.core.errors import (
    Failure,
    JobTookTooLong,
    ModelUnavailable,
    RepeatedlyInterrupted,
    ServiceUnavailable,
    TranscriptionError,
    as_failure,
)
from transcription.core.options import Priority, Ticket
from transcription.core.settings import Settings
from transcription.core.transcript import Transcript
from transcription.jobs import policy
from transcription.jobs.job import Job
from transcription.jobs.recordings.folder import Spool
from transcription.jobs.store.base import JobStore, LeaseLost
from transcription.pipeline.single_flight import Flights
from transcription.telemetry.logs import metadata_of, request_context
from transcription.telemetry.metrics import ATTEMPTS
from transcription.telemetry.tracing import JOB, current_span

POLL_SECONDS = 1.0  # how soon work is found that another process accepted or gave back

log = structlog.get_logger(__name__)


class Outcome(Enum):
    """What becomes of a job whose attempt raised."""

    FAIL = auto()
    TRY_AGAIN = auto()


def outcome_of(error: Exception, failures: int, retries: int) -> Outcome:
    """Whether an attempt is repeated: when the machinery failed, and not `retries` times in a row without progress.

    failures: those before this one.
    """
    by_machinery = is_unexpected(error) or isinstance(error, ServiceUnavailable | ModelUnavailable)
    return Outcome.TRY_AGAIN if by_machinery and failures < retries else Outcome.FAIL


def is_unexpected(error: Exception) -> bool:
    """Whether it is a fault of ours, and not something that this service says on purpose."""
    return not isinstance(error, TranscriptionError)


def failure_of(error: Exception) -> Failure:
    """The error as it is kept with the job."""
    if isinstance(error, TranscriptionError):
        return as_failure(error)
    return Failure(
        TranscriptionError.code,
        "Something went wrong on our side. Retry the job; if it stays, report its id.",
        f"{type(error).__name__}: {error}",
    )


class Worker:
    """One a process. Several processes may work on one store."""

    def __init__(self, store: JobStore, spool: Spool, flights: Flights, runner: Runner, settings: Settings) -> None:
        self._store = store
        self._spool = spool
        self._flights = flights
        self._runner = runner
        self._settings = settings
        self._owner = uuid.uuid4().hex
        self._attempts: dict[tuple[str, int], asyncio.Task[None]] = {}  # by job and attempt
        self._stopping = False
        self._news = asyncio.Event()

    async def run(self) -> None:
        """Until it is cancelled; then every job that it is at goes back to the queue, with its checkpoints."""
        try:
            while True:
                self._news.clear()
                try:
                    await self._begin_jobs()
                except TranscriptionError as error:
                    log.warning("jobs_wait", reason=error.message, detail=error.detail)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(POLL_SECONDS):
                        await self._news.wait()
        finally:
            await self.stop()

    async def attempt(self, job_id: str) -> bool:
        """One attempt of this job, instead of `run`, for whoever is told which job is next.

        False if it is not due, or given back at once since the worker stops.
        """
        # A name of its own: should this process lose the lease, it may be the one that takes the job over.
        job = await self._store.claim(uuid.uuid4().hex, job_id)
        if job is None:
            return False
        if self._stopping:
            await self._release(job)
            return False
        await asyncio.wait((self._begin(job),))
        return True

    async def stop(self) -> None:
        """Give every job back, and begin no more. Nothing is being worked on when this returns."""
        self._stopping = True
        await asyncio.sleep(0)  # who is cancelled before his first step gives nothing back
        attempts = list(self._attempts.values())
        for attempt in attempts:
            attempt.cancel()
        await asyncio.gather(*attempts, return_exceptions=True)

    def wake(self) -> None:
        """There may be something to do."""
        self._news.set()

    def abandon(self, job_id: str) -> None:
        """Stop working on a job that is no longer ours, if we do."""
        for (attempted, _), attempt in self._attempts.items():
            if attempted == job_id:
                attempt.cancel()

    async def _begin_jobs(self) -> None:
        while len(self._attempts) < self._settings.job_concurrency:
            if not await self._runner_answers() or not (job := await self._store.claim(self._owner)):
                return
            self._begin(job)

    def _begin(self, job: Job) -> asyncio.Task[None]:
        attempt = asyncio.create_task(self._attempt(job))
        self._attempts[job.id, job.attempt] = attempt
        attempt.add_done_callback(partial(self._ended, job))
        return attempt

    def _ended(self, job: Job, _: asyncio.Task[None]) -> None:
        del self._attempts[job.id, job.attempt]
        self.wake()

    async def _runner_answers(self) -> bool:
        """A job begun while the model's process restarts would only use up an attempt."""
        try:
            await self._runner.state()
        except ServiceUnavailable:
            return False
        return True

    async def _attempt(self, job: Job) -> None:
        """One attempt. Whatever happens, the job is ended, back in the queue, or somebody else's."""
        with request_context(job.request_id or job.id, job_id=job.id), current_span(JOB, attempt=job.attempt):
            try:
                transcript = await self._while_ours(job)
                await self._store.complete(job, transcript)
                ATTEMPTS.labels(outcome="completed").inc()
                log.info("job_completed", attempt=job.attempt, metadata=metadata_of(transcript, job.recording.size))
            except LeaseLost:
                ATTEMPTS.labels(outcome="interrupted").inc()
                log.info("job_given_up", attempt=job.attempt)
            except asyncio.CancelledError:
                ATTEMPTS.labels(outcome="interrupted").inc()
                await self._release(job)
                raise
            except Exception as error:
                await self._end(job, error)

    async def _release(self, job: Job) -> None:
        with contextlib.suppress(LeaseLost):  # it was cancelled by its owner, and the store knows
            await self._store.release(job)

    async def _end(self, job: Job, error: Exception) -> None:
        """Write down that the attempt failed, as soon as the store can be written to."""
        log.warning("job_attempt_failed", attempt=job.attempt, reason=str(error), exc_info=is_unexpected(error))
        while True:
            try:
                await self._settle(job, error)
            except LeaseLost:
                pass
            except ServiceUnavailable as full:
                log.error("job_not_written", reason=full.message, detail=full.detail)
                await asyncio.sleep(POLL_SECONDS)
                continue
            return

    async def _settle(self, job: Job, error: Exception) -> None:
        current = await self._store.get(job.id)  # progress since the claim has cleared the count
        failures = current.failures if current else job.failures
        if outcome_of(error, failures, self._settings.job_retries) is Outcome.TRY_AGAIN:
            await self._store.postpone(job, policy.retry_delay(failures, getattr(error, "retry_after", 0.0)))
            ATTEMPTS.labels(outcome="retried").inc()
        else:
            await self._store.fail(job, failure_of(error))
            ATTEMPTS.labels(outcome="failed").inc()

    async def _while_ours(self, job: Job) -> Transcript:
        """The transcript; the lease is renewed meanwhile. Raises LeaseLost, the errors of media/ and of the runner."""
        working = asyncio.create_task(self._in_time(job))
        beating = asyncio.create_task(self._beat(job))
        try:
            await asyncio.wait((working, beating), return_when=asyncio.FIRST_COMPLETED)
            if not working.done():
                await beating
            return await working
        finally:
            for task in (working, beating):
                task.cancel()
            await asyncio.gather(working, beating, return_exceptions=True)

    async def _beat(self, job: Job) -> None:
        """Renew the lease until it is lost. Raises LeaseLost."""
        while True:
            await asyncio.sleep(policy.HEARTBEAT_SECONDS)
            try:
                await self._store.renew(job)
            except ServiceUnavailable as error:
                log.warning("heartbeat_missed", reason=error.message, detail=error.detail)

    async def _in_time(self, job: Job) -> Transcript:
        """Raises JobTookTooLong beside what `_transcribe` raises."""
        limit = self._settings.job_timeout
        try:
            async with asyncio.timeout(limit) as deadline:
                return await self._transcribe(job)
        except TimeoutError:
            if not deadline.expired():
                raise
            raise JobTookTooLong(
                f"The recording took longer than JOB_TIMEOUT, {limit} s. Retry the job: it goes on where it stopped. "
                "If it stays, split the recording or have the operator raise the limit."
            ) from None

    async def _transcribe(self, job: Job) -> Transcript:
        """Raises LeaseLost, the errors of media/ and of the runner."""
        if job.failures > self._settings.job_retries:
            raise RepeatedlyInterrupted(
                f"The service stopped {job.failures} times while it worked on this recording. Convert the file and "
                "submit it again; if it stays, report the job's id."
            )
        if job.attempt == 1 and (transcript := await self._store.cached(job.work)):
            return transcript  # somebody who waited for the same was served meanwhile; a retry wants it done again
        known = await self._store.checkpoints(job.work)
        ticket = Ticket(job.request_id or job.id, Priority.BACKGROUND)
        async with (
            self._spool.borrowed(job.recording) as upload,
            self._flights.join(job.work, upload, job.request, ticket, known) as passenger,
        ):
            position = 0
            async for placed, total in passenger.results():
                if position >= len(known):
                    await self._store.checkpoint(job, position, placed, total)
                position += 1
            return await passenger.transcript()
