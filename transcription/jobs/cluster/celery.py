"""The Celery worker: `celery -A transcription.jobs.cluster.celery worker`. One process a device; see
`transcription.jobs.cluster.broker` for what a message is.
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
    """One attempt of a job that is due; nothing otherwise."""
    try:
        process.attempt(job_id)
    except CannotServe as error:
        raise Reject(error, requeue=True) from None


@setup_logging.connect
def _keep_our_logs(**_: Any) -> None:
    configure_logging(settings)


@worker_init.connect
def _start(sender: Any, **_: Any) -> None:
    """Celery would log what its handlers raise, and go on."""
    configure_logging(settings)  # Celery asks for it later
    if not issubclass(sender.pool_cls, ThreadPool):
        raise SystemExit("A worker is one process with threads. Leave --pool out, or give --pool=threads.")
    try:
        process.start()
    except TranscriptionError as error:
        raise SystemExit(f"{error.message} {error.detail}".strip()) from None
    except Exception as error:
        log.critical("worker_did_not_start", exc_info=error)
        raise SystemExit(1) from None


@worker_ready.connect
def _say_so(**_: Any) -> None:
    log.info("worker_ready", pid=os.getpid(), jobs_at_once=settings.job_concurrency)


@worker_shutting_down.connect
def _stop_soon(**_: Any) -> None:
    process.stop_soon()


@worker_shutdown.connect
def _stop(**_: Any) -> None:
    process.stop()
