"""The background tasks of a process that serves jobs, from its start to its end."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time

import structlog

from transcription.core.errors import ServiceUnavailable
from transcription.core.settings import Settings
from transcription.jobs.examiner import Examiner
from transcription.jobs.job import JobStatus
from transcription.jobs.recordings.base import RecordingStore
from transcription.jobs.service import JobDispatcher, JobService
from transcription.jobs.store.base import JobStore
from transcription.jobs.webhooks.deliverer import Deliverer
from transcription.telemetry import metrics

CLEANUP_SECONDS = 60.0  # between two runs
BACKUP_SECONDS = 3600.0  # between two copies of the database
COUNTING_SECONDS = 5.0  # between two counts for Prometheus
STOP_SECONDS = 5.0
ORPHAN_SECONDS = 600.0  # a recording is stored a moment before its job is

log = structlog.get_logger(__name__)


class Housekeeping:
    """Starts, supervises and stops the background tasks: dispatching, webhooks, cleanup, counts for metrics."""

    def __init__(
        self,
        settings: Settings,
        store: JobStore,
        recordings: RecordingStore,
        service: JobService,
        dispatcher: JobDispatcher,
        deliverer: Deliverer,
        examiner: Examiner,
    ) -> None:
        self._settings = settings
        self._store = store
        self._recordings = recordings
        self._service = service
        self._dispatcher = dispatcher
        self._deliverer = deliverer
        self._examiner = examiner
        self._running: asyncio.Task[None]

    def start(self) -> None:
        """Start every background task. If one fails, the process ends."""
        self._running = asyncio.create_task(self._run())
        self._running.add_done_callback(_end_the_process)

    def stop_soon(self) -> None:
        """Accept no more jobs and return the running ones to the queue, from which another process resumes them."""
        self._service.stopping.set()
        self._running.cancel()

    async def stop(self) -> None:
        """As `stop_soon`, and wait at most STOP_SECONDS for the end. Then close the store."""
        self.stop_soon()
        _, late = await asyncio.wait((self._running, *self._examiner.cancel()), timeout=STOP_SECONDS)
        if late:
            log.error("jobs_do_not_stop", tasks=len(late))  # their leases expire, and other processes take over
        await self._store.close()

    async def _run(self) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self._clean_up())
            if self._settings.enable_async:
                group.create_task(self._dispatcher.run())
                group.create_task(self._deliverer.run())
                group.create_task(self._count_jobs())

    async def _clean_up(self) -> None:
        """Delete expired jobs and orphaned recordings, fail jobs that cannot be read, and back up the store."""
        next_backup = 0.0
        while True:
            with contextlib.suppress(ServiceUnavailable):  # such as a full disk: the next cycle deletes first
                await self._store.expire()
                in_use = await self._store.recordings_in_use()
                await self._recordings.sweep(in_use, ORPHAN_SECONDS)
                if time.monotonic() >= next_backup:
                    await self._store.fail_unreadable()
                    await self._store.back_up()
                    next_backup = time.monotonic() + BACKUP_SECONDS
            await asyncio.sleep(min(CLEANUP_SECONDS, self._settings.job_result_ttl))

    async def _count_jobs(self) -> None:
        """Set the gauges of the jobs for Prometheus."""
        while True:
            with contextlib.suppress(ServiceUnavailable):
                counts = await self._store.count()
                for status in JobStatus:
                    metrics.JOBS.labels(status=status.value).set(counts.by_status.get(status, 0))
                oldest = counts.oldest_queued
                metrics.OLDEST_JOB.set(0.0 if oldest is None else max(0.0, time.time() - oldest))
            await asyncio.sleep(COUNTING_SECONDS)


def _end_the_process(running: asyncio.Task[None]) -> None:
    """End a process that would accept jobs and run none; the supervisor starts another one."""
    if not running.cancelled():
        log.critical("jobs_stopped", exc_info=running.exception())
        os.kill(os.getpid(), signal.SIGTERM)
