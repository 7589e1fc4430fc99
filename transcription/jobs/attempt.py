"""One attempt of a job: renews its lease, runs the pipeline, stores every window, and records the outcome."""

from __future__ import annotations

import asyncio
import contextlib
from enum import Enum, auto

import structlog

from transcription.core.errors import (
    Failure,
    InsufficientStorage,
    JobTookTooLong,
    ModelUnavailable,
    RecordingsUnavailable,
    RepeatedlyInterrupted,
    ServiceUnavailable,
    TranscriptionError,
    as_failure,
)
from transcription.core.options import Priority, Ticket
from transcription.core.settings import Settings
from transcription.core.transcript import PlacedResult, Transcript
from transcription.jobs import policy
from transcription.jobs.job import Job
from transcription.jobs.recordings.base import RecordingStore
from transcription.jobs.store.base import JobStore, LeaseLost
from transcription.pipeline.request_key import computed_by, request_key, still_valid
from transcription.pipeline.single_flight import SingleFlight
from transcription.telemetry.logs import metadata_of, request_context
from transcription.telemetry.metrics import ATTEMPTS
from transcription.telemetry.tracing import JOB, current_span

WRITE_RETRY_SECONDS = 1.0  # between attempts to record a failure while the store cannot be written

log = structlog.get_logger(__name__)


class Outcome(Enum):
    """The consequence of a failed attempt for its job."""

    FAIL = auto()
    RETRY = auto()


def outcome_of(error: Exception, failures: int, retries: int) -> Outcome:
    """RETRY if the service is at fault, and not for more than `retries` attempts in a row without progress.

    failures: such attempts before this one.
    """
    at_fault = is_unexpected(error) or isinstance(error, ServiceUnavailable | ModelUnavailable)
    return Outcome.RETRY if at_fault and failures < retries else Outcome.FAIL


def is_unexpected(error: Exception) -> bool:
    """Whether the error is a bug and not one that the service raises deliberately."""
    return not isinstance(error, TranscriptionError)


def failure_of(error: Exception) -> Failure:
    """The error as it is stored with the job."""
    if isinstance(error, TranscriptionError):
        return as_failure(error)
    return Failure(
        TranscriptionError.code,
        "The service failed unexpectedly. Retry the job; if it fails again, report its id.",
        f"{type(error).__name__}: {error}",
    )


class Attempts:
    """Runs attempts of claimed jobs. One per process."""

    def __init__(
        self, store: JobStore, recordings: RecordingStore, single_flight: SingleFlight, settings: Settings
    ) -> None:
        self._store = store
        self._recordings = recordings
        self._single_flight = single_flight
        self._settings = settings

    async def run(self, job: Job) -> None:
        """Run one attempt. job: as claimed.

        Afterwards the job has ended, is back in the queue, or belongs to another process. Cancelling returns it to the
        queue.
        """
        with request_context(job.request_id or job.id, job_id=job.id), current_span(JOB, attempt=job.attempt):
            try:
                transcript = await self._with_lease(job)
                await self._store.complete(job, transcript)
                ATTEMPTS.labels(outcome="completed").inc()
                log.info("job_completed", attempt=job.attempt, metadata=metadata_of(transcript, job.recording.size))
            except LeaseLost:
                self._gave_up(job)
            except asyncio.CancelledError:
                ATTEMPTS.labels(outcome="interrupted").inc()
                await self.release(job)
                raise
            except Exception as error:
                await self._record_failure(job, error)

    async def release(self, job: Job) -> None:
        """Return a claimed job to the queue, without counting a failure."""
        with contextlib.suppress(LeaseLost):  # cancelled, or taken over
            await self._store.release(job)

    def _gave_up(self, job: Job) -> None:
        ATTEMPTS.labels(outcome="interrupted").inc()
        log.info("job_given_up", attempt=job.attempt)

    async def _record_failure(self, job: Job, error: Exception) -> None:
        """Store the outcome of a failed attempt, as soon as the store can be written."""
        log.warning("job_attempt_failed", attempt=job.attempt, reason=str(error), exc_info=is_unexpected(error))
        while True:
            try:
                await self._retry_or_fail(job, error)
            except LeaseLost:  # such as a job that was cancelled, and its recording deleted, before it was opened
                self._gave_up(job)
            except ServiceUnavailable as unavailable:
                log.error("job_not_written", reason=unavailable.message, detail=unavailable.detail)
                await asyncio.sleep(WRITE_RETRY_SECONDS)
                continue
            return

    async def _retry_or_fail(self, job: Job, error: Exception) -> None:
        # As long as the disk is full or the recordings cannot be reached, the job waits. Longer after each attempt: if
        # only writing fails, each one reads and decodes the recording again.
        if isinstance(error, InsufficientStorage | RecordingsUnavailable):
            delay = policy.retry_delay(job.attempt - 1, error.retry_after)
            await self._store.postpone(job, delay, counted=False)
            ATTEMPTS.labels(outcome="retried").inc()
            return
        current = await self._store.get(job.id)  # a checkpoint since the claim has cleared the failures
        failures = current.failures if current else job.failures
        if outcome_of(error, failures, self._settings.job_retries) is Outcome.RETRY:
            await self._store.postpone(job, policy.retry_delay(failures, getattr(error, "retry_after", 0.0)))
            ATTEMPTS.labels(outcome="retried").inc()
        else:
            await self._store.fail(job, failure_of(error))
            ATTEMPTS.labels(outcome="failed").inc()

    async def _with_lease(self, job: Job) -> Transcript:
        """Transcribe while the lease is renewed. Raises LeaseLost, the errors of media/ and of the runner."""
        working = asyncio.create_task(self._in_time(job))
        renewing = asyncio.create_task(self._renew_lease(job, working))
        try:
            await asyncio.wait((working, renewing), return_when=asyncio.FIRST_COMPLETED)
            if not working.done():
                await renewing
            return await working
        finally:
            for task in (working, renewing):
                task.cancel()
            await asyncio.gather(working, renewing, return_exceptions=True)

    async def _renew_lease(self, job: Job, working: asyncio.Task[Transcript]) -> None:
        """Send heartbeats until the work is done, even if a library forgets the cancellation. Raises LeaseLost."""
        while not working.done():
            await asyncio.sleep(policy.HEARTBEAT_SECONDS)
            try:
                await self._store.renew(job)
            except ServiceUnavailable as error:
                log.warning("heartbeat_missed", reason=error.message, detail=error.detail)

    async def _in_time(self, job: Job) -> Transcript:
        """As `_transcribe`, within JOB_TIMEOUT. Raises JobTookTooLong."""
        limit = self._settings.job_timeout
        try:
            async with asyncio.timeout(limit) as deadline:
                return await self._transcribe(job)
        except TimeoutError:
            if not deadline.expired():
                raise
            raise JobTookTooLong(
                f"The recording took longer than JOB_TIMEOUT, {limit} s. Retry the job: it resumes where it stopped. "
                "If that happens again, split the recording or have the operator raise the limit."
            ) from None

    async def _transcribe(self, job: Job) -> Transcript:
        """Transcribe, and store every window. Raises LeaseLost, the errors of media/ and of the runner."""
        if job.failures > self._settings.job_retries:
            raise RepeatedlyInterrupted(
                f"The service stopped {job.failures} times while it processed this recording. Convert the file and "
                "submit it again; if it happens again, report the job's id."
            )
        if transcript := await self._cached(job):
            return transcript
        known = await self._resumable(job)
        ticket = Ticket(job.request_id or job.id, Priority.BACKGROUND, caller=job.caller)
        async with (
            self._recordings.borrowed(job.recording) as upload,
            self._single_flight.join(job.work, upload, job.request, ticket, known) as subscriber,
        ):
            position = 0
            async for placed, total in subscriber.results():
                if position < len(known) and placed.result != known[position].result:
                    # The last attempt stopped within a window that is divided, which is decoded anew.
                    await self._store.drop_checkpoints(job, position)
                    known = known[:position]
                if position >= len(known):
                    await self._store.checkpoint(job, position, placed, total)
                position += 1
            return await subscriber.transcript()

    async def _cached(self, job: Job) -> Transcript | None:
        """The result of a synchronous request since the submission. A retry asks for a new run instead.

        A job that was submitted before an upgrade has another key than it would have now, and gets a new run, too.
        """
        if job.attempt > 1:
            return None
        current = await asyncio.to_thread(request_key, job.recording, job.request, self._settings, job.caller)
        return await self._store.cached(job.work) if job.work == current else None

    async def _resumable(self, job: Job) -> list[PlacedResult]:
        """The stored windows that need not be decoded again. Others are deleted, and are replaced by this attempt.

        Raises LeaseLost.
        """
        engine = await asyncio.to_thread(computed_by, job.request.decode.model, self._settings)
        known = still_valid(await self._store.checkpoints(job.work), engine)
        if job.seconds_done > (known[-1].timeline.end if known else 0.0):
            await self._store.drop_checkpoints(job, len(known))
        return known
