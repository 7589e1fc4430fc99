"""Creates the parts that serve jobs, according to the settings."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from runners.client.interface import Runner
from transcription.core.settings import Settings
from transcription.jobs.examiner import Examiner
from transcription.jobs.housekeeping import Housekeeping
from transcription.jobs.job import Job
from transcription.jobs.recordings.base import RecordingStore
from transcription.jobs.recordings.open import open_recordings
from transcription.jobs.service import JobDispatcher, JobService
from transcription.jobs.store.base import JobStore
from transcription.jobs.store.open import open_shared_store, open_store
from transcription.jobs.webhooks.deliverer import Deliverer
from transcription.jobs.worker import Worker
from transcription.pipeline.single_flight import SingleFlight
from transcription.pipeline.transcribe import Pipeline
from transcription.pipeline.transcriber import Transcriber
from transcription.telemetry.background import BackgroundTasks

RenderStatus = Callable[[JobService, Job], Awaitable[bytes]]


@dataclass(frozen=True, slots=True)
class JobParts:
    """The parts that one process needs to serve requests. transcriber: shares runs and results with the jobs."""

    transcriber: Transcriber
    service: JobService
    housekeeping: Housekeeping


def open_jobs(
    settings: Settings,
    runner: Runner,
    pipeline: Pipeline,
    render_status: RenderStatus,
    background: BackgroundTasks,
) -> JobParts:
    """Open the stores and connect the parts; `housekeeping.start` starts them. To be called in the event loop.

    render_status: the final status of a job as JSON, which webhooks send. Raises DamagedStore, ServiceUnavailable.
    """
    recordings = open_recordings(settings)
    single_flight = SingleFlight(pipeline)
    store, dispatcher = _open_store_and_dispatcher(settings, runner, recordings, single_flight)
    examiner = Examiner(settings, store, dispatcher.wake)
    service = JobService(settings, store, recordings, dispatcher, examiner)

    async def callback_body(job: Job) -> bytes:
        return await render_status(service, job)

    deliverer = Deliverer(store, callback_body, settings)
    housekeeping = Housekeeping(settings, store, recordings, service, dispatcher, deliverer, examiner, background)
    return JobParts(Transcriber(settings, store, single_flight), service, housekeeping)


def _open_store_and_dispatcher(
    settings: Settings, runner: Runner, recordings: RecordingStore, single_flight: SingleFlight
) -> tuple[JobStore, JobDispatcher]:
    if settings.job_backend == "celery":
        # Imported here, because Celery takes long to import and a single machine does without it.
        from transcription.jobs.cluster.broker import Broker
        from transcription.jobs.cluster.dispatcher import Dispatcher

        shared = open_shared_store(settings, with_results=True)
        return shared, Dispatcher(shared, Broker(settings))
    store = open_store(settings)
    return store, Worker(store, recordings, single_flight, runner, settings)
