"""The client's side of jobs, and of work that is done for several clients at once."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import time
import uuid
from collections.abc import AsyncGenerator, Collection, Coroutine, Sequence
from contextlib import ExitStack, aclosing
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Protocol, TypeVar

import structlog

from transcription.core.errors import (
    InsufficientStorage,
    OutcomeUnknown,
    ServiceUnavailable,
    TranscriptionError,
    UnknownJob,
    WrongJobState,
)
from transcription.core.options import Ticket, TranscriptionRequest
from transcription.core.settings import Settings
from transcription.core.transcript import PlacedResult, Segment, Transcript
from transcription.jobs.job import Job, JobStatus, KeptLayout, NewJob, Standing
from transcription.jobs.recordings.folder import Spool, job_folders
from transcription.jobs.store.base import JobStore
from transcription.jobs.webhooks.deliverer import Deliverer
from transcription.jobs.worker import failure_of
from transcription.media.intake.upload import Upload, held
from transcription.media.probe import probe
from transcription.pipeline.assemble import Draft, place
from transcription.pipeline.request_key import fingerprint_of, work_of
from transcription.pipeline.single_flight import Flights
from transcription.telemetry import metrics
from transcription.telemetry.logs import current_request_id

EXAMINERS = 2  # files that are looked into at once while their jobs wait
# Seconds; a job that is begun at once is examined by the attempt. For Celery its length decides about its priority.
EXAMINE_AFTER = {"sqlite": 0.5, "celery": 0.0}
HOUSEKEEPING_SECONDS = 60.0
BACKUP_SECONDS = 3600.0
COUNTING_SECONDS = 5.0  # between two counts for Prometheus
STOP_SECONDS = 5.0
ORPHAN_SECONDS = 600.0  # a file is in the spool a moment before its job is in the store

Found = TypeVar("Found")

log = structlog.get_logger(__name__)


class Source(StrEnum):
    """Where a transcript came from."""

    HIT = "hit"
    JOIN = "join"
    MISS = "miss"
    BYPASS = "bypass"


@dataclass(frozen=True, slots=True)
class Submission:
    """What a client says about a job beside the recording.

    private: nobody may join the work or be answered from its result.
    """

    request: TranscriptionRequest
    response_format: str
    idempotency_key: str | None = None
    callback_url: str | None = None
    private: bool = False
    layout: KeptLayout | None = None


class Workforce(Protocol):
    """Who sees to it that jobs are worked on: here, or by workers elsewhere."""

    async def run(self) -> None:
        """Until cancelled."""
        ...

    def wake(self) -> None:
        """There may be something to do."""
        ...

    def abandon(self, job_id: str) -> None:
        """Nobody needs to work on this job any more."""
        ...


class JobEngine:
    """What the HTTP routes call. One a process, on a store that several processes may share."""

    def __init__(
        self,
        settings: Settings,
        store: JobStore,
        spool: Spool,
        flights: Flights,
        workforce: Workforce,
        deliverer: Deliverer,
    ) -> None:
        self._settings = settings
        self._store = store
        self._spool = spool
        self._flights = flights
        self._workforce = workforce
        self._deliverer = deliverer
        self._disks = job_folders(settings)
        self._examining = asyncio.Semaphore(EXAMINERS)
        self._background: set[asyncio.Task[None]] = set()
        self.stopping = asyncio.Event()

    # Work that somebody waits for

    async def transcribe(
        self, upload: Upload, request: TranscriptionRequest, ticket: Ticket, private: bool
    ) -> tuple[Transcript, Source]:
        """The transcript, from the store if it is there, else from work that others may share.

        private: nothing is shared, and nothing is left behind. Raises the errors of media/ and of the runner.
        """
        async with aclosing(self._work(upload, request, ticket, private)) as work:
            async for item in work:
                if not isinstance(item, PlacedResult):
                    metrics.ANSWERS.labels(source=item[1].value).inc()
                    return item
        raise AssertionError("work ends with its transcript")

    async def stream(
        self, upload: Upload, request: TranscriptionRequest, ticket: Ticket, private: bool
    ) -> AsyncGenerator[Sequence[Segment] | Transcript, None]:
        """As `transcribe`, with the new segments of each window as it is done, in order; the transcript comes last."""
        draft, seen = Draft(request), False
        async with aclosing(self._work(upload, request, ticket, private)) as work:
            async for item in work:
                if isinstance(item, PlacedResult):
                    seen = True
                    yield draft.add(item)
                    continue
                transcript, source = item
                metrics.ANSWERS.labels(source=source.value).inc()
                if not seen:
                    yield transcript.segments
                yield transcript

    async def _work(
        self, upload: Upload, request: TranscriptionRequest, ticket: Ticket, private: bool
    ) -> AsyncGenerator[PlacedResult | tuple[Transcript, Source], None]:
        """Windows as they are done, and the end."""
        if private:
            async with self._flights.join(uuid.uuid4().hex, upload, request, ticket, linger=False) as passenger:
                async for placed, _ in passenger.results():
                    yield placed
                yield await passenger.transcript(), Source.BYPASS
            return
        work = work_of(upload, request, self._settings)
        cached, known = await self._stored(work)
        if cached:
            yield cached, Source.HIT
            return
        async with self._flights.join(work, upload, request, ticket, known) as passenger:
            async for placed, _ in passenger.results():
                yield placed
            transcript = await passenger.transcript()
        if not passenger.joined:
            await self._remember(work, transcript)
        yield transcript, Source.JOIN if passenger.joined else Source.MISS

    async def _stored(self, work: str) -> tuple[Transcript | None, Sequence[PlacedResult]]:
        """The result, and otherwise the windows of a job that is at it. Nothing when the store cannot be asked."""
        try:
            cached = await self._store.cached(work)
            known = await self._store.checkpoints(work) if self._settings.enable_cache and not cached else ()
        except ServiceUnavailable as error:  # whoever waits needs no store
            log.warning("result_not_looked_up", reason=error.message, detail=error.detail)
            return None, ()
        return cached, known

    async def _remember(self, work: str, transcript: Transcript) -> None:
        try:
            await self._store.remember(work, transcript)
        except ServiceUnavailable as error:  # the client has its answer all the same
            log.warning("result_not_stored", reason=error.message, detail=error.detail)

    # Jobs

    def check_space(self, size: int) -> None:
        """Raises InsufficientStorage unless `size` more bytes leave the reserve free."""
        free = min(shutil.disk_usage(folder).free for folder in self._disks)
        if free - size < self._settings.min_free_disk:
            raise InsufficientStorage(
                "There is no space left to store another job. Try again later, or tell the operator.",
                f"{free} bytes are free for jobs, {size} are needed beside MIN_FREE_DISK.",
                retry_after=60,
            )

    async def submit(self, upload: Upload, submission: Submission) -> Job:
        """Accept a job: when this returns, it survives whatever happens. The upload's file becomes the job's.

        Raises InsufficientStorage, IdempotencyConflict, ServiceUnavailable.
        """
        if self.stopping.is_set():
            raise ServiceUnavailable("The service is stopping. Try again in a moment.")
        self.check_space(0)  # the file itself is on this disk already
        with ExitStack() as stack:
            # The spool may be elsewhere: to be examined, the file stays here under a second name.
            here = stack.enter_context(held(upload, self._settings.temp_dir))
            job, created = await self._accept(upload, submission)
            if created:
                log.info("job_accepted", job_id=job.id, size=upload.size, status=job.status.value)
                self._workforce.wake()
                self._in_background(self._examine(job, here, stack.pop_all()))
        return job

    async def _accept(self, upload: Upload, submission: Submission) -> tuple[Job, bool]:
        """The job, and whether it is a new one."""
        job_id = str(uuid.uuid4())
        work = work_of(upload, submission.request, self._settings)
        recording = await self._spool.keep(upload, job_id)
        new = NewJob(
            id=job_id,
            work=job_id if submission.private else work,
            request=submission.request,
            recording=recording,
            response_format=submission.response_format,
            fingerprint=fingerprint_of(work, submission.response_format, submission.callback_url, submission.layout),
            idempotency_key=submission.idempotency_key,
            callback_url=submission.callback_url,
            request_id=current_request_id(),
            layout=submission.layout,
        )
        try:
            job, created = await self._store.submit(new)
        except (OutcomeUnknown, asyncio.CancelledError):
            raise  # the job may be there and need its recording; if not, the sweep takes it
        except BaseException:
            await self._spool.remove(recording.name)
            raise
        if not created:
            await self._spool.remove(recording.name)
        return job, created

    async def job(self, job_id: str) -> Job:
        """Raises UnknownJob."""
        return _known(await self._store.get(job_id), job_id)

    async def jobs(self, statuses: Collection[JobStatus], before: int | None, limit: int) -> list[Job]:
        """Newest first."""
        return await self._store.list_jobs(statuses, before, limit)

    async def standing(self, job_id: str) -> Standing:
        """The job, and what its end depends on. Raises UnknownJob."""
        return _known(await self._store.standing(job_id), job_id)

    async def partial_text(self, job: Job) -> str:
        """What is decoded so far. The end of the job may drop some of it as nobody's words."""
        placed = await self._store.checkpoints(job.work)
        return "".join(segment.text for item in placed for segment in item.result.segments).strip()

    async def segments(self, job: Job, start: int) -> list[list[Segment]]:
        """What is decoded so far, in file time, window by window from position `start` on."""
        placed = await self._store.checkpoints(job.work, start)
        if not placed and start == 0 and job.status is JobStatus.COMPLETED:  # by the result of a synchronous request
            return [list((await self.result(job)).segments)]
        return [[place(segment, item.timeline) for segment in item.result.segments] for item in placed]

    async def result(self, job: Job) -> Transcript:
        """Raises WrongJobState unless the job is completed, UnknownJob when its result has expired."""
        if job.status is not JobStatus.COMPLETED:
            raise WrongJobState(f"The job is {job.status.value} and has no result. GET /status/{job.id} says more.")
        transcript = _known(await self._store.result(job.id), job.id)
        if job.layout and not job.layout.shows_words:
            return replace(transcript, word_timestamps=False)
        return transcript

    async def cancel(self, job_id: str) -> Job:
        """End an unfinished job, or forget a finished one with all that belongs to it. Raises UnknownJob."""
        before = await self.job(job_id)
        if before.finished:
            await self._store.delete(job_id)
            await self._spool.remove(before.recording.name)
            return before
        job = _known(await self._store.cancel(job_id), job_id)
        self._workforce.abandon(job_id)
        self._workforce.wake()  # another job may have waited for the same work
        if job.status is JobStatus.CANCELLED:
            await self._spool.remove(job.recording.name)
        return job

    async def retry(self, job_id: str) -> Job:
        """Queue a failed or completed job again. Raises UnknownJob, WrongJobState."""
        before = await self.job(job_id)
        if before.status not in (JobStatus.FAILED, JobStatus.COMPLETED):
            raise WrongJobState(
                f"The job is {before.status.value}. Only a failed or completed job can be retried; submit the "
                "recording again."
            )
        job = _known(await self._store.retry(job_id), job_id)
        self._workforce.wake()
        return job

    async def _examine(self, job: Job, here: Upload, own: ExitStack) -> None:
        """Learn how long a waiting recording is, and fail it now if it is none. own: what keeps it here until then."""
        with own:
            await asyncio.sleep(EXAMINE_AFTER[self._settings.job_backend])
            async with self._examining:
                current = await self._store.get(job.id)
                if not current or current.status is not JobStatus.QUEUED:
                    return
                try:
                    media = await probe(here, self._settings)
                except ServiceUnavailable:
                    await self._store.examined(job.id, None)  # the attempt will tell
                except TranscriptionError as error:
                    await self._store.refuse(job.id, failure_of(error))
                else:
                    await self._store.examined(job.id, media.duration)
        self._workforce.wake()

    # The process

    def start(self) -> None:
        """Work on jobs, deliver webhooks and keep house from now on."""
        self._running = asyncio.create_task(self._run())
        self._running.add_done_callback(_end_the_process)

    def stop_soon(self) -> None:
        """No new jobs, and those that are worked on go back to the queue; the next process goes on with them."""
        self.stopping.set()
        self._running.cancel()

    async def stop(self) -> None:
        """`stop_soon`, and everything is written when this returns, at the latest after STOP_SECONDS."""
        self.stop_soon()
        for task in self._background:
            task.cancel()
        _, late = await asyncio.wait((self._running, *self._background), timeout=STOP_SECONDS)
        if late:
            log.error("jobs_do_not_stop", tasks=len(late))  # their leases run out, and other processes take over
        await self._store.close()

    async def _run(self) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self._keep_house())
            if self._settings.enable_async:
                group.create_task(self._workforce.run())
                group.create_task(self._deliverer.run())
                group.create_task(self._count_jobs())

    async def _keep_house(self) -> None:
        next_backup = 0.0
        while True:
            with contextlib.suppress(ServiceUnavailable):  # a full disk: deleting comes first, next time again
                await self._store.expire()
                in_use = await self._store.recordings_in_use()
                await self._spool.sweep(in_use, ORPHAN_SECONDS)
                if time.monotonic() >= next_backup:
                    await self._store.back_up()
                    next_backup = time.monotonic() + BACKUP_SECONDS
            await asyncio.sleep(min(HOUSEKEEPING_SECONDS, self._settings.job_result_ttl))

    async def _count_jobs(self) -> None:
        """For Prometheus."""
        while True:
            with contextlib.suppress(ServiceUnavailable):
                census = await self._store.census()
                for status in JobStatus:
                    metrics.JOBS.labels(status=status.value).set(census.jobs.get(status, 0))
                oldest = census.oldest_queued
                metrics.OLDEST_JOB.set(0.0 if oldest is None else max(0.0, time.time() - oldest))
            await asyncio.sleep(COUNTING_SECONDS)

    def _in_background(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)


def _end_the_process(running: asyncio.Task[None]) -> None:
    """A process that accepts jobs and does none is worse than none: the supervisor starts another one."""
    if not running.cancelled():
        log.critical("jobs_stopped", exc_info=running.exception())
        os.kill(os.getpid(), signal.SIGTERM)


def _known(found: Found | None, job_id: str) -> Found:
    if found is None:
        raise UnknownJob(f"There is no job '{job_id[:80]}'. Finished jobs are kept for JOB_RESULT_TTL seconds.")
    return found
