"""A store, recordings and a worker for the tests of jobs."""

import asyncio
from contextlib import asynccontextmanager

from transcription.core.options import DecodeOptions, TranscriptionRequest, VadOptions
from transcription.jobs.job import NewJob
from transcription.jobs.recordings.folder import FolderStore
from transcription.jobs.store.sqlite.store import SqliteStore
from transcription.jobs.worker import Worker
from transcription.media.intake.upload import Upload
from transcription.pipeline.single_flight import SingleFlight
from transcription.pipeline.transcribe import Pipeline

REQUEST = TranscriptionRequest(DecodeOptions("demo", language="en"), VadOptions(enabled=False))


class World:
    """A job store, a recording store and a worker in one folder, with short delays."""

    def __init__(self, folder, settings, runner, store=None):
        self.folder = folder
        self.settings = settings
        self.runner = runner
        self.store = store or SqliteStore(folder / "jobs", result_ttl=1000)
        self.recordings = FolderStore(folder / "jobs" / "spool", settings)
        self.single_flight = SingleFlight(Pipeline(settings, runner))

    @asynccontextmanager
    async def working(self):
        worker = Worker(self.store, self.recordings, self.single_flight, self.runner, self.settings)
        running = asyncio.create_task(worker.run())
        try:
            yield worker
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)

    async def submit(self, path, job_id="job"):
        upload = Upload(path, "0" * 64, path.stat().st_size, path.name)
        recording = await self.recordings.keep(upload, job_id)
        job, _ = await self.store.submit(NewJob(job_id, job_id, REQUEST, recording, "json", job_id))
        return job

    async def ended(self, job_id="job"):
        async with asyncio.timeout(30):
            while not (job := await self.store.get(job_id)).finished:
                await asyncio.sleep(0.02)
        return job
