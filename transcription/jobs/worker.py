"""Claims due jobs from the store and runs their attempts, in this process."""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections.abc import Awaitable, Callable
from functools import partial

from runners.client.interface import Runner
from transcription.core.errors import ServiceUnavailable
from transcription.core.settings import Settings
from transcription.jobs.attempt import Attempts
from transcription.jobs.job import Job
from transcription.jobs.recordings.base import RecordingStore
from transcription.jobs.store.base import JobStore
from transcription.pipeline.single_flight import SingleFlight
from transcription.telemetry.background import going_on

POLL_SECONDS = 1.0  # until a job that another process accepted or returned is found

Claim = Callable[[str], Awaitable[Job | None]]  # takes the owner of the attempt


class Worker:
    """Claims and runs due jobs. One per process; several processes may share one store."""

    def __init__(
        self,
        store: JobStore,
        recordings: RecordingStore,
        single_flight: SingleFlight,
        runner: Runner,
        settings: Settings,
    ) -> None:
        self._store = store
        self._attempts = Attempts(store, recordings, single_flight, settings)
        self._runner = runner
        self._settings = settings
        self._owner = uuid.uuid4().hex
        self._running: dict[tuple[str, int], asyncio.Task[None]] = {}  # by job and attempt
        self._stopping = False
        self._woken = asyncio.Event()

    async def run(self) -> None:
        """Work on due jobs until cancelled. Jobs in progress then return to the queue with their checkpoints."""
        self._stopping = False  # also if an error has ended an earlier call
        try:
            while True:
                self._woken.clear()
                with going_on("dispatch"):
                    await self._begin_jobs()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(POLL_SECONDS):
                        await self._woken.wait()
        finally:
            await self.stop()

    async def attempt(self, claim: Claim) -> bool:
        """Run one attempt of the job that `claim` begins; used instead of `run` where messages begin attempts.

        False if no job is due, or if the worker is stopping.
        """
        # An owner of its own: if this process loses the lease, the same process may take the job over.
        job = await claim(uuid.uuid4().hex)
        if job is None:
            return False
        if self._stopping:
            await self._attempts.release(job)
            return False
        await asyncio.wait((self._begin(job),))
        return True

    async def stop(self) -> None:
        """Return every job to the queue and begin no more. No attempt is running when this returns."""
        self._stopping = True
        await asyncio.sleep(0)  # a task that is cancelled before its first step would not release its job
        running = list(self._running.values())
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)

    def wake(self) -> None:
        """Look for due jobs now."""
        self._woken.set()

    def abandon(self, job_id: str) -> None:
        """Stop any attempt of this job."""
        for (running_id, _), task in self._running.items():
            if running_id == job_id:
                task.cancel()

    async def _begin_jobs(self) -> None:
        while len(self._running) < self._settings.job_concurrency:
            if not await self._runner_responds() or not (job := await self._store.claim(self._owner)):
                return
            self._begin(job)

    def _begin(self, job: Job) -> asyncio.Task[None]:
        task = asyncio.create_task(self._attempts.run(job))
        self._running[job.id, job.attempt] = task
        task.add_done_callback(partial(self._ended, job))
        return task

    def _ended(self, job: Job, _: asyncio.Task[None]) -> None:
        del self._running[job.id, job.attempt]
        self.wake()

    async def _runner_responds(self) -> bool:
        """Whether jobs can be claimed: one begun while the runner restarts would only use up an attempt."""
        try:
            await self._runner.state()
        except ServiceUnavailable:
            return False
        return True
