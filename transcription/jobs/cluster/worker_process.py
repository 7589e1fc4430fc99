"""A worker on its own: the model, the pipeline and one event loop, driven by threads that bring the ids of jobs."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from collections.abc import Callable
from typing import Protocol

import structlog

from runners.client.interface import Runner
from runners.host import ModelHost
from transcription.bentoml_patches import tracer_provider
from transcription.core.errors import ServiceUnavailable
from transcription.core.settings import Settings
from transcription.jobs.cluster.broker import Broker
from transcription.jobs.cluster.dispatcher import WORKERS_POLL_SECONDS, Dispatcher
from transcription.jobs.recordings.folder import open_spool
from transcription.jobs.store.open import open_shared_store
from transcription.jobs.worker import Worker
from transcription.media.intake.sweep import sweep_regularly
from transcription.media.sandbox.process import warm_up
from transcription.pipeline.single_flight import Flights
from transcription.pipeline.transcribe import Pipeline
from transcription.telemetry.metrics import serve_metrics
from transcription.telemetry.process_metrics import WORKER, update_regularly

READY_POLL_SECONDS = 0.2
PAUSE_SECONDS = 1.0  # before a message that could not be served is given back

log = structlog.get_logger(__name__)


class OwnRunner(Runner, Protocol):
    """A runner that lives and dies with its process."""

    def start(self) -> None:
        """Return at once, and become ready in the background."""
        ...

    def stop(self) -> None:
        """Finish what runs, refuse what waits."""
        ...


class CannotServe(Exception):
    """The job was not begun, and its message is for somebody else, or for later."""


class WorkerProcess:
    """One a device. Windows of all jobs that its threads bring meet in one queue, and are decoded in batches."""

    def __init__(self, settings: Settings, make_runner: Callable[[Settings], OwnRunner] = ModelHost) -> None:
        """Nothing runs before `start`."""
        self._settings = settings
        self._make_runner = make_runner
        self._begun = threading.Event()
        self._failure: BaseException | None = None
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="jobs", daemon=True)
        self._loop: asyncio.AbstractEventLoop
        self._worker: Worker
        self._over: asyncio.Event

    def start(self) -> None:
        """Returns when the model has decoded something, so that nobody gives work to a worker that has none.

        Raises InvalidSettings, and what keeps it from working, such as a spool that is out of reach.
        """
        if self._settings.metrics_port:
            serve_metrics(self._settings)
        self._thread.start()
        self._begun.wait()
        if self._failure:
            raise self._failure

    def attempt(self, job_id: str) -> None:
        """One attempt of a job, if it is due; blocks until that is over. From any thread. Raises CannotServe."""
        if self._stopping.is_set() or not self._serves():
            raise CannotServe
        attempt = asyncio.run_coroutine_threadsafe(self._worker.attempt(job_id), self._loop)
        try:
            attempt.result()
        except ServiceUnavailable as error:
            log.warning("jobs_wait", reason=error.message, detail=error.detail)
            self._stopping.wait(PAUSE_SECONDS)
            raise CannotServe from error

    def stop_soon(self) -> None:
        """Begin nothing more, and give every job back with its windows; attempts end in a moment. May be repeated."""
        self._stopping.set()
        if self._serves():
            asyncio.run_coroutine_threadsafe(self._worker.stop(), self._loop)

    def stop(self) -> None:
        """`stop_soon`, and nothing runs any more when this returns."""
        self.stop_soon()
        if self._serves():
            self._loop.call_soon_threadsafe(self._over.set)
            self._thread.join()

    def _serves(self) -> bool:
        return self._begun.is_set() and self._failure is None

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except BaseException as error:
            self._failure = error
            if self._begun.is_set():  # a worker that accepts messages and does nothing is worse than none
                log.critical("worker_stopped", exc_info=error)
                os.kill(os.getpid(), signal.SIGTERM)
            self._begun.set()

    async def _serve(self) -> None:
        settings = self._settings
        settings.temp_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        spool = open_spool(settings)
        await spool.check()
        tracer_provider.install()
        warm_up()
        runner = self._make_runner(settings)
        runner.start()
        store, broker = open_shared_store(settings), Broker(settings)
        flights = Flights(Pipeline(settings, runner), settings.temp_dir)
        self._loop, self._over = asyncio.get_running_loop(), asyncio.Event()
        self._worker = Worker(store, spool, flights, runner, settings)
        try:
            async with asyncio.TaskGroup() as group:
                chores = [
                    # Jobs go on while no API runs.
                    group.create_task(Dispatcher(store, broker, WORKERS_POLL_SECONDS).run()),
                    group.create_task(sweep_regularly(settings)),
                    group.create_task(update_regularly(WORKER, {"temp": settings.temp_dir})),
                ]
                while not (await runner.state()).ready:
                    await asyncio.sleep(READY_POLL_SECONDS)
                self._begun.set()
                await self._over.wait()
                for chore in chores:
                    chore.cancel()
        finally:
            await self._worker.stop()
            await asyncio.gather(store.close(), broker.close())
            await asyncio.to_thread(runner.stop)
