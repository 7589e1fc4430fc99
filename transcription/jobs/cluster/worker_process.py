"""The process of a Celery worker: the model or the way to the pool, the pipeline and one event loop.

Threads of Celery pass it ids of jobs.
"""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from collections.abc import Callable
from functools import partial
from typing import Protocol

import structlog

from runners.client.interface import Runner
from runners.pool.pool import RunnerPool
from transcription.bentoml_patches import tracer_provider
from transcription.core.errors import ServiceUnavailable
from transcription.core.folders import check_folders
from transcription.core.settings import Settings
from transcription.diarization.weights import check_weights
from transcription.jobs.cluster.broker import Broker
from transcription.jobs.cluster.dispatcher import WORKERS_POLL_SECONDS, Dispatcher
from transcription.jobs.recordings.open import open_recordings
from transcription.jobs.store.open import open_shared_store
from transcription.jobs.store.redis.store import RedisStore
from transcription.jobs.worker import Worker
from transcription.media.intake.sweep import TASK as SWEEP
from transcription.media.intake.sweep import sweep_regularly
from transcription.media.intake.uploads_folder import open_uploads
from transcription.media.sandbox.process import warm_up
from transcription.pipeline.single_flight import SingleFlight
from transcription.pipeline.transcribe import Pipeline
from transcription.system.watchdog import Watchdog
from transcription.telemetry.background import BackgroundTasks
from transcription.telemetry.metrics import serve_metrics
from transcription.telemetry.process_metrics import TASK as PROCESS_METRICS
from transcription.telemetry.process_metrics import WORKER, update_regularly

READY_POLL_SECONDS = 0.2
PAUSE_SECONDS = 1.0  # before a message that could not be served is returned to the broker

log = structlog.get_logger(__name__)


class OwnRunner(Runner, Protocol):
    """A runner whose start and end are those of this process."""

    def start(self) -> None:
        """Start to load, or to look for runners, in the background, and return at once."""
        ...

    def stop(self) -> None:
        """Finish the running batch, and fail the queued windows."""
        ...


def open_runner(settings: Settings) -> OwnRunner:
    """The pool at RUNNER_URL, or a model in this process."""
    if settings.runner_url:
        return RunnerPool(settings)
    # Imported here: with a pool, a worker has no use for the libraries of the model.
    from runners.host import ModelHost

    return ModelHost(settings)


class CannotServe(Exception):
    """The job was not begun. Its message must return to the broker, for another worker or a later time."""


class WorkerProcess:
    """Runs the jobs of one device. The windows of all its jobs share one queue and are decoded in batches."""

    def __init__(self, settings: Settings, make_runner: Callable[[Settings], OwnRunner] = open_runner) -> None:
        """Starts nothing yet; call `start`."""
        self._settings = settings
        self._make_runner = make_runner
        self._started = threading.Event()
        self._failure: BaseException | None = None
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="jobs", daemon=True)
        self._loop: asyncio.AbstractEventLoop
        self._worker: Worker
        self._store: RedisStore
        self._stop_requested: asyncio.Event

    def start(self) -> None:
        """Start the process, and return when the model is ready to decode.

        Raises InvalidSettings, ModelUnavailable, and any error that prevents the start, such as an unreachable
        recording store.
        """
        check_folders(self._settings)
        check_weights(self._settings.whisper_model_dir)
        if self._settings.metrics_port:
            serve_metrics(self._settings)
        self._thread.start()
        self._started.wait()
        if self._failure:
            raise self._failure

    def attempt(self, job_id: str) -> None:
        """Run one attempt of the job that is next, and block until its end. From any thread. Raises CannotServe.

        job_id: of the message that was received. Its job may not be the next one, which has a message as well.
        """
        if self._stopping.is_set() or not self._serves():
            raise CannotServe
        claim = partial(self._store.claim_for_message, job_id=job_id)
        attempt = asyncio.run_coroutine_threadsafe(self._worker.attempt(claim), self._loop)
        try:
            attempt.result()
        except ServiceUnavailable as error:
            log.warning("jobs_wait", reason=error.message, detail=error.detail)
            self._stopping.wait(PAUSE_SECONDS)
            raise CannotServe from error

    def stop_soon(self) -> None:
        """Begin no more jobs, and return all to the queue. Does not wait. May be called repeatedly."""
        self._stopping.set()
        if self._serves():
            asyncio.run_coroutine_threadsafe(self._worker.stop(), self._loop)

    def stop(self) -> None:
        """As `stop_soon`, and wait until nothing runs any more."""
        self.stop_soon()
        if self._serves():
            self._loop.call_soon_threadsafe(self._stop_requested.set)
            self._thread.join()

    def _serves(self) -> bool:
        return self._started.is_set() and self._failure is None

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except BaseException as error:
            self._failure = error
            if self._started.is_set():  # it would accept messages and do nothing
                log.critical("worker_stopped", exc_info=error)
                os.kill(os.getpid(), signal.SIGTERM)
            self._started.set()

    async def _serve(self) -> None:
        settings = self._settings
        with open_uploads(settings):
            pass  # refuse to start if it cannot be used
        recordings = open_recordings(settings)
        await recordings.check()
        store, broker = open_shared_store(settings, with_results=True), Broker(settings)
        await store.check_version()
        tracer_provider.install()
        warm_up()
        runner = self._make_runner(settings)
        runner.start()
        self._store = store
        single_flight = SingleFlight(Pipeline(settings, runner))
        self._loop, self._stop_requested = asyncio.get_running_loop(), asyncio.Event()
        self._worker = Worker(store, recordings, single_flight, runner, settings)
        watchdog = Watchdog(settings.watchdog_timeout, lambda: self._started.is_set())
        watchdog.start()
        background = BackgroundTasks()
        try:
            # Jobs are dispatched even while no API process runs.
            background.start("dispatch", Dispatcher(store, broker, WORKERS_POLL_SECONDS).run)
            background.start(SWEEP, partial(sweep_regularly, settings))
            background.start(PROCESS_METRICS, partial(update_regularly, WORKER, {"temp": settings.temp_dir}))
            while not await _is_ready(runner):
                await asyncio.sleep(READY_POLL_SECONDS)
            self._started.set()
            await self._stop_requested.wait()
        finally:
            watchdog.stop()
            await background.stop()
            await self._worker.stop()
            await asyncio.gather(store.close(), broker.close())
            await asyncio.to_thread(runner.stop)


async def _is_ready(runner: Runner) -> bool:
    try:
        return (await runner.state()).ready
    except ServiceUnavailable:  # no runner of the pool answers yet
        return False
