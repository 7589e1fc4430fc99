"""The background tasks of a process that serves jobs, from its start to its end."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

import structlog

from transcription.core.settings import Settings
from transcription.jobs.examiner import Examiner
from transcription.jobs.job import JobStatus
from transcription.jobs.recordings.base import CLEANUP, RecordingStore
from transcription.jobs.service import JobDispatcher, JobService
from transcription.jobs.store.base import JobStore
from transcription.jobs.webhooks.deliverer import Deliverer
from transcription.telemetry import metrics
from transcription.telemetry.background import BackgroundTasks, going_on

CLEANUP_SECONDS = 60.0  # between two runs
BACKUP_SECONDS = 3600.0  # between two copies of the database
COUNTING_SECONDS = 5.0  # between two counts for Prometheus
STOP_SECONDS = 5.0
COUNTS = "counts"  # name of a background task
ORPHAN_SECONDS = 600.0  # a recording is stored a moment before its job is

log = structlog.get_logger(__name__)


class Housekeeping:
    """Starts and stops the background tasks of jobs: dispatching, webhooks, cleanup, counts for metrics."""

    def __init__(
        self,
        settings: Settings,
        store: JobStore,
        recordings: RecordingStore,
        service: JobService,
        dispatcher: JobDispatcher,
        deliverer: Deliverer,
        examiner: Examiner,
        background: BackgroundTasks,
    ) -> None:
        self._settings = settings
        self._store = store
        self._recordings = recordings
        self._service = service
        self._dispatcher = dispatcher
        self._deliverer = deliverer
        self._examiner = examiner
        self._background = background
        self._running: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Start every background task."""
        tasks: dict[str, Callable[[], Awaitable[None]]] = {CLEANUP: self._clean_up}
        if self._settings.enable_async:
            tasks |= {"dispatch": self._dispatcher.run, "webhooks": self._deliverer.run, COUNTS: self._count_jobs}
        self._running = [self._background.start(name, run) for name, run in tasks.items()]

    def stop_soon(self) -> None:
        """Accept no more jobs and return the running ones to the queue, from which another process resumes them."""
        self._service.stopping.set()
        for task in self._running:
            if not task.cancelling():  # a second time would interrupt the return of the jobs
                task.cancel()

    async def stop(self) -> None:
        """As `stop_soon`, and wait at most STOP_SECONDS for the end. Then close the store."""
        self.stop_soon()
        ending = (*self._running, *self._examiner.cancel())
        late = (await asyncio.wait(ending, timeout=STOP_SECONDS))[1] if ending else ()
        if late:
            log.error("jobs_do_not_stop", tasks=len(late))  # their leases expire, and other processes take over
        await self._store.close()

    async def _clean_up(self) -> None:
        """Delete expired jobs and orphaned recordings, fail jobs that cannot be read, and back up the store."""
        next_backup = 0.0
        while True:
            # One by one: on a full disk the backup fails, and what was deleted before makes room.
            with going_on(CLEANUP, step="expire"):
                await self._store.expire()
            with going_on(CLEANUP, step="sweep"):
                in_use = await self._store.recordings_in_use()
                await self._recordings.sweep(in_use, ORPHAN_SECONDS)
            if time.monotonic() >= next_backup:
                with going_on(CLEANUP, step="unreadable"):
                    await self._store.fail_unreadable()
                with going_on(CLEANUP, step="backup"):
                    await self._store.back_up()
                    next_backup = time.monotonic() + BACKUP_SECONDS
            await asyncio.sleep(min(CLEANUP_SECONDS, self._settings.job_result_ttl))

    async def _count_jobs(self) -> None:
        """Set the gauges of the jobs for Prometheus."""
        while True:
            with going_on(COUNTS):
                counts = await self._store.count()
                for status in JobStatus:
                    metrics.JOBS.labels(status=status.value).set(counts.by_status.get(status, 0))
                oldest = counts.oldest_queued
                metrics.OLDEST_JOB.set(0.0 if oldest is None else max(0.0, time.time() - oldest))
            await asyncio.sleep(COUNTING_SECONDS)
