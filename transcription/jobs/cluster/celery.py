"""The Celery worker: `celery -A transcription.jobs.cluster.celery worker`, one process per device.

`transcription.jobs.cluster.broker` describes the messages.
"""

from __future__ import annotations

import os
from typing import Any

import structlog
from celery.concurrency.thread import TaskPool as ThreadPool
from celery.exceptions import Reject
from celery.signals import setup_logging, worker_init, worker_ready, worker_shutdown, worker_shutting_down

from transcription.core.errors import TranscriptionError
from transcription.core.settings import InvalidSettings, load_settings
from transcription.jobs.cluster.broker import TASK, make_celery
from transcription.jobs.cluster.worker_process import CannotServe, WorkerProcess
from transcription.jobs.recordings.open import with_uploads_beside_jobs
from transcription.telemetry.logs import configure_logging

settings = with_uploads_beside_jobs(load_settings())
if settings.job_backend != "celery":
    raise InvalidSettings("Invalid settings:\n  A worker needs JOB_BACKEND=celery and the REDIS_URL of the service.")
log = structlog.get_logger(__name__)
app = make_celery(settings)
process = WorkerProcess(settings)


@app.task(name=TASK)
def transcribe(job_id: str) -> None:
    """Run one attempt of the job that is next. job_id: says that a job is due, not which one begins."""
    try:
        process.attempt(job_id)
    except CannotServe as error:
        raise Reject(error, requeue=True) from None


@setup_logging.connect
def _configure_logging(**_: Any) -> None:
    configure_logging(settings)


@worker_init.connect
def _start(sender: Any, **_: Any) -> None:
    """Start the process, or exit: Celery would only log an exception of this handler and continue."""
    configure_logging(settings)  # before Celery sends setup_logging
    if not issubclass(sender.pool_cls, ThreadPool):
        raise SystemExit("A worker is one process with threads. Omit --pool, or set --pool=threads.")
    try:
        process.start()
    except TranscriptionError as error:
        raise SystemExit(f"{error.message} {error.detail}".strip()) from None
    except Exception as error:
        log.critical("worker_did_not_start", exc_info=error)
        raise SystemExit(1) from None


@worker_ready.connect
def _log_ready(**_: Any) -> None:
    log.info("worker_ready", pid=os.getpid(), jobs_at_once=settings.job_concurrency)


@worker_shutting_down.connect
def _stop_soon(**_: Any) -> None:
    process.stop_soon()


@worker_shutdown.connect
def _stop(**_: Any) -> None:
    process.stop()
