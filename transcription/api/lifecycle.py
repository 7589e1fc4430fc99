"""Start and stop of a process that serves the API."""

from __future__ import annotations

from functools import partial
from typing import Any

import structlog

from runners.client.client import RunnerClient
from runners.client.interface import Runner
from runners.client.recent_state import RecentState
from runners.pool.pool import RunnerPool
from transcription.api.client_secrets import ClientSecrets
from transcription.api.dependencies import Backend
from transcription.api.job_feeds import JobFeeds
from transcription.api.job_status import Part, StatusRenderer
from transcription.api.live.conversations import Conversations
from transcription.api.live_minutes import LiveMinutes
from transcription.api.rendered import RenderedResults
from transcription.api.wyoming.server import TASK as WYOMING
from transcription.api.wyoming.server import WyomingServer
from transcription.core.settings import Settings
from transcription.jobs.access import EVERY_JOB
from transcription.jobs.job import Job
from transcription.jobs.open import open_jobs
from transcription.jobs.recordings.open import job_folders
from transcription.jobs.service import JobService
from transcription.live.sessions import LiveSessions
from transcription.media.intake.fetch import Fetcher
from transcription.media.intake.sweep import TASK as SWEEP
from transcription.media.intake.sweep import sweep_regularly
from transcription.media.sandbox.process import warm_up
from transcription.outbound.http_client import SystemResolver
from transcription.pipeline.transcribe import Pipeline
from transcription.system.garbage import collect_while_serving
from transcription.system.malloc import give_memory_back_early
from transcription.system.quiet import TASK as MEMORY
from transcription.system.quiet import give_memory_back_when_quiet
from transcription.system.signals import call_on_sigterm
from transcription.telemetry.background import BackgroundTasks
from transcription.telemetry.process_metrics import API, update_regularly
from transcription.telemetry.process_metrics import TASK as PROCESS_METRICS

STREAMS_SHARE = 0.75  # of the connections; other requests have the rest

log = structlog.get_logger(__name__)


class ApiProcess:
    """The parts of one process from start to stop. backend: the parts that route handlers use.

    streams: number of event streams at the same time. secrets: makes client secrets.
    """

    def __init__(self, settings: Settings, client: Runner, streams: int, secrets: ClientSecrets) -> None:
        self._settings = settings
        pipeline = Pipeline(settings, client)

        async def callback_body(jobs: JobService, job: Job) -> bytes:
            """The body of a webhook: the answer of GET /status."""
            snapshot = await jobs.snapshot(job.id, EVERY_JOB)
            response = await self.backend.statuses.render(snapshot, EVERY_JOB, frozenset({Part.RESULT}))
            return response.to_bytes()

        self._background = BackgroundTasks()
        jobs = open_jobs(settings, client, pipeline, callback_body, self._background)
        fetcher = Fetcher(settings, SystemResolver())
        self._housekeeping = jobs.housekeeping
        live = LiveSessions(client, settings, meter=LiveMinutes(settings))
        self._conversations = Conversations(live, settings)
        results = RenderedResults(jobs.service, settings.max_rendered_bytes)
        self.backend = Backend(
            settings,
            client,
            RecentState(client),
            pipeline,
            jobs.transcriber,
            jobs.service,
            results,
            StatusRenderer(jobs.service, results, settings.job_concurrency),
            JobFeeds(jobs.service, streams, settings.max_rendered_bytes),
            fetcher,
            self._background,
            live,
            self._conversations,
            secrets,
        )

    def start(self) -> None:
        """Start the background tasks: jobs, the sweep of TEMP_DIR, process metrics, return of memory."""
        self._housekeeping.start()
        folders = {"temp": self._settings.temp_dir, "jobs": job_folders(self._settings)[0]}
        self._background.start(SWEEP, partial(sweep_regularly, self._settings))
        self._background.start(PROCESS_METRICS, partial(update_regularly, API, folders))
        self._background.start(MEMORY, give_memory_back_when_quiet)
        if self._settings.wyoming_port:
            self._background.start(WYOMING, WyomingServer(self._settings, self.backend.live).run)
        call_on_sigterm(self._housekeeping.stop_soon)
        call_on_sigterm(self.backend.live.stop_soon)

    async def stop(self) -> None:
        """Stop the background tasks. Running jobs return to the queue."""
        await self._conversations.aclose()
        await self._housekeeping.stop()
        await self._background.stop()
        if isinstance(self.backend.runner, RunnerPool):
            await self.backend.runner.close()


async def connect(settings: Settings, dependency: Any) -> Runner:
    """The runner of this process. dependency: BentoML's, which calls the runner's process; None with RUNNER_URL."""
    if settings.runner_url:
        pool = RunnerPool(settings)
        pool.start()
        return pool
    await RunnerClient.prepare(dependency)
    return RunnerClient(dependency)


def start_process(settings: Settings, client: Runner, connections: int, secrets: ClientSecrets) -> ApiProcess:
    """Prepare this process and start to serve. Call in the event loop.

    connections: that the process may have at the same time. secrets: as for ApiProcess.
    """
    give_memory_back_early()  # not at import: the runner's process also imports service.py, and needs the opposite
    warm_up()
    streams = min(settings.max_streams, int(connections * STREAMS_SHARE))
    log.info("reading_limits", connections=connections, streams=streams)
    process = ApiProcess(settings, client, streams, secrets)
    process.start()
    collect_while_serving()
    return process
