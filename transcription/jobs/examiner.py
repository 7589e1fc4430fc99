"""Probes the recording of a queued job, so that its duration is known and a bad file fails early."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import ExitStack

from transcription.core.errors import ServiceUnavailable, TranscriptionError
from transcription.core.settings import Settings
from transcription.jobs.attempt import failure_of
from transcription.jobs.job import Job, JobStatus
from transcription.jobs.store.base import JobStore
from transcription.media.intake.upload import Upload
from transcription.media.open import open_media
from transcription.telemetry.background import going_on

MAX_CONCURRENT_PROBES = 2
# Seconds. With SQLite a job that starts at once is probed by its attempt; with Celery the duration sets the priority.
PROBE_DELAY = {"sqlite": 0.5, "celery": 0.0}


class Examiner:
    """Probes recordings in the background. on_examined: called after each probe, because the job may now be due."""

    def __init__(self, settings: Settings, store: JobStore, on_examined: Callable[[], None]) -> None:
        self._settings = settings
        self._store = store
        self._on_examined = on_examined
        self._slots = asyncio.Semaphore(MAX_CONCURRENT_PROBES)
        self._tasks: set[asyncio.Task[None]] = set()

    def schedule(self, job: Job, upload: Upload, resources: ExitStack) -> None:
        """Probe the recording soon. resources: closed afterwards; they hold the local file."""
        task = asyncio.create_task(self._examine(job, upload, resources))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def cancel(self) -> frozenset[asyncio.Task[None]]:
        """Cancel all probes, and return the tasks that have not ended yet."""
        for task in self._tasks:
            task.cancel()
        return frozenset(self._tasks)

    async def _examine(self, job: Job, upload: Upload, resources: ExitStack) -> None:
        with going_on("examiner", job=job.id), resources:
            await asyncio.sleep(PROBE_DELAY[self._settings.job_backend])
            async with self._slots:
                current = await self._store.get(job.id)
                if not current or current.status is not JobStatus.QUEUED:
                    return
                try:
                    media = await open_media(upload, job.request.sound, self._settings)
                except ServiceUnavailable:
                    await self._store.examined(job.id, None)  # the attempt will find out
                except TranscriptionError as error:
                    await self._store.refuse(job.id, failure_of(error))
                else:
                    await self._store.examined(job.id, media.duration)
        self._on_examined()
