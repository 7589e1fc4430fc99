"""Composes the parts that serve jobs, as the settings ask for."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from runners.client.interface import Runner
from transcription.core.settings import Settings
from transcription.jobs.examiner import Examiner
from transcription.jobs.housekeeping import Housekeeping
from transcription.jobs.job import Job
from transcription.jobs.recordings.folder import Spool, open_spool
from transcription.jobs.service import JobDispatcher, JobService
from transcription.jobs.store.base import JobStore
from transcription.jobs.store.open import open_shared_store, open_store
from transcription.jobs.webhooks.deliverer import Deliverer
from transcription.jobs.worker import Worker
from transcription.pipeline.single_flight import Flights
from transcription.pipeline.transcribe import Pipeline
from transcription.pipeline.transcriber import Transcriber

RenderStatus = Callable[[JobService, Job], Awaitable[bytes]]


@dataclass(frozen=True, slots=True)
class JobParts:
    """What serves the requests of one process. transcriber: shares its runs and its cache with the jobs."""

    transcriber: Transcriber
    service: JobService
    housekeeping: Housekeeping


def open_jobs(settings: Settings, runner: Runner, pipeline: Pipeline, render_status: RenderStatus) -> JobParts:
    """Open the stores and connect the parts; `housekeeping.start` starts them. To be called in the event loop.

    render_status: the final status of a job as JSON, which webhooks send. Raises DamagedStore, ServiceUnavailable.
    """
    spool = open_spool(settings)
    flights = Flights(pipeline, settings.temp_dir)
    store, dispatcher = _open_store_and_dispatcher(settings, runner, spool, flights)
    examiner = Examiner(settings, store, dispatcher.wake)
    service = JobService(settings, store, spool, dispatcher, examiner)

    async def callback_body(job: Job) -> bytes:
        return await render_status(service, job)

    deliverer = Deliverer(store, callback_body, settings)
    housekeeping = Housekeeping(settings, store, spool, service, dispatcher, deliverer, examiner)
    return JobParts(Transcriber(settings, store, flights), service, housekeeping)


def _open_store_and_dispatcher(
    settings: Settings, runner: Runner, spool: Spool, flights: Flights
) -> tuple[JobStore, JobDispatcher]:
    if settings.job_backend == "celery":
        # Imported here, because Celery takes long to import and a single machine does without it.
        from transcription.jobs.cluster.broker import Broker
        from transcription.jobs.cluster.dispatcher import Dispatcher

        shared = open_shared_store(settings)
        return shared, Dispatcher(shared, Broker(settings))
    store = open_store(settings)
    return store, Worker(store, spool, flights, runner, settings)
