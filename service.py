"""The two BentoML services, wired. `bentoml serve service:TranscriptionService` starts both."""

from __future__ import annotations

import asyncio
import gc
from typing import Any

import bentoml
import structlog
from starlette.middleware.cors import CORSMiddleware

from runners.client.client import RunnerClient
from runners.client.interface import Runner
from runners.client.recent_state import RecentState
from runners.whisper import make_whisper_runner
from transcription import bentoml_patches
from transcription.api.app import create_app
from transcription.api.dependencies import Backend
from transcription.api.middleware.access import AccessMiddleware
from transcription.api.middleware.edge import EdgeMiddleware
from transcription.api.middleware.headers import SecurityHeadersMiddleware, cors_options
from transcription.api.middleware.keys import InvalidKeys, open_keys
from transcription.api.middleware.limits import LimitsMiddleware
from transcription.api.middleware.pace import PaceMiddleware
from transcription.api.middleware.tasks import ROUTE as TASK_ROUTE
from transcription.api.middleware.tasks import VERBS as TASK_VERBS
from transcription.api.middleware.tasks import TaskMiddleware
from transcription.api.routes.health import is_ready
from transcription.api.routes.jobs import status_body
from transcription.api.routes.native import ROUTE, NativeInput, TaskInput, answer_native
from transcription.api.schemas import TranscriptionResponse
from transcription.bentoml_patches.early_stop import call_on_sigterm
from transcription.core.errors import TranscriptionError
from transcription.core.settings import Settings, load_settings
from transcription.jobs.cluster.broker import Broker
from transcription.jobs.cluster.dispatcher import Dispatcher
from transcription.jobs.job import Job
from transcription.jobs.recordings.folder import job_folders, open_spool, with_uploads_beside_jobs
from transcription.jobs.service import JobEngine, Workforce
from transcription.jobs.store.base import JobStore
from transcription.jobs.store.open import open_shared_store, open_store
from transcription.jobs.webhooks.deliverer import Deliverer
from transcription.jobs.worker import Worker
from transcription.media.intake.fetch import Fetcher
from transcription.media.intake.sweep import sweep_for_ever
from transcription.media.sandbox.process import warm_up
from transcription.outbound.address_rules import AllowList
from transcription.outbound.http_client import SystemResolver, trusted_authorities
from transcription.pipeline.single_flight import Flights
from transcription.pipeline.transcribe import Pipeline
from transcription.system.malloc import give_memory_back_early
from transcription.telemetry.logs import configure_logging
from transcription.telemetry.process_metrics import API, read_for_ever

# Our own time limit answers in our shape; BentoML's is only the net below it.
TIMEOUT_MARGIN = 60  # seconds

# Routes beside those of the application's document, for BentoML's figures.
OTHER_ROUTES = ("/ui", "/ui/{name}", ROUTE, TASK_ROUTE, *(f"{TASK_ROUTE}/{verb}" for verb in TASK_VERBS), "/state")

log = structlog.get_logger(__name__)
settings = with_uploads_beside_jobs(load_settings())
configure_logging(settings)
app = create_app(settings)
bentoml_patches.install((*app.openapi()["paths"], *OTHER_ROUTES))
whisper_runner = make_whisper_runner(settings)


@bentoml.service(
    name="transcription",
    workers=settings.workers,
    http={"host": settings.host, "port": settings.port},
    traffic={"timeout": settings.request_timeout + TIMEOUT_MARGIN},
)
@bentoml.asgi_app(app, path="/")
class TranscriptionService:
    """An audio or video file in, text with timestamps out."""

    runner = bentoml.depends(whisper_runner)

    @bentoml.on_deployment  # type: ignore[untyped-decorator]
    @staticmethod
    def check() -> None:
        """Refuse to start on what cannot work, once, before any process starts."""
        try:
            for name, allowed in (("WEBHOOK_ALLOW", settings.webhook_allow), ("URL_ALLOW", settings.url_allow)):
                check_allowed(name, allowed)
            open_keys(settings)
            asyncio.run(open_store(settings).close())
            if settings.enable_async:
                asyncio.run(open_spool(settings).check())
        except InvalidKeys as error:
            raise SystemExit(f"Invalid settings:\n  {error}") from None
        except TranscriptionError as error:
            raise SystemExit(f"{error.message} {error.detail}".strip()) from None

    @bentoml.on_startup  # type: ignore[untyped-decorator]
    async def start(self) -> None:
        """Make TEMP_DIR ready, connect to the runner, work on jobs and keep TEMP_DIR clean."""
        give_memory_back_early()  # here, not on import: the runner's process imports this module too
        settings.temp_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        warm_up()
        runner = RunnerClient(self.runner)
        pipeline = Pipeline(settings, runner)
        self.engine = make_engine(settings, runner, pipeline)
        self.backend = Backend(settings, runner, RecentState(runner), pipeline, self.engine, make_fetcher(settings))
        app.state.backend = self.backend
        self.engine.start()
        folders = {"temp": settings.temp_dir, "jobs": job_folders(settings)[0]}
        self.chores = [asyncio.create_task(sweep_for_ever(settings)), asyncio.create_task(read_for_ever(API, folders))]
        call_on_sigterm(self.engine.stop_soon)
        gc.freeze()  # what was imported stays for good, and looking through it stops the event loop for 0.3 s

    @bentoml.on_shutdown  # type: ignore[untyped-decorator]
    async def stop(self) -> None:
        """Leave nothing running; every job goes back to the queue."""
        for chore in self.chores:
            chore.cancel()
        await asyncio.gather(*self.chores, return_exceptions=True)
        await self.engine.stop()

    @bentoml.api(route=ROUTE, input_spec=NativeInput)  # type: ignore[untyped-decorator]
    async def transcribe(self, ctx: bentoml.Context, **_: Any) -> TranscriptionResponse:
        """Transcribe one recording. The same parameters as POST /transcribe; the answer is always JSON."""
        response = await answer_native(ctx.request, self.backend)
        ctx.response.status_code = response.status_code  # BentoML overwrites the response's own with it
        return response  # type: ignore[return-value]  # sent as it is; the annotation is for the clients

    @bentoml.task(route=TASK_ROUTE, input_spec=TaskInput)  # type: ignore[untyped-decorator]
    async def transcribe_job(self, ctx: bentoml.Context, **_: Any) -> TranscriptionResponse:
        """The same as a task: submit, get_status, get, retry, cancel.

        Declared for the schema and the clients. Unless TASK_QUEUE=platform, TaskMiddleware answers all but the call
        that waits.
        """
        response = await answer_native(ctx.request, self.backend)
        ctx.response.status_code = response.status_code
        return response  # type: ignore[return-value]

    async def __is_ready__(self) -> bool:
        """For BentoML's /readyz: what /health/ready says."""
        return await is_ready(self.backend)


def check_allowed(name: str, allowed: str) -> None:
    """Refuse to start on a list of hosts that cannot be read."""
    try:
        AllowList.parse(allowed)
    except ValueError as error:
        raise SystemExit(f"Invalid settings:\n  {name}: {error}") from None


def make_engine(settings: Settings, runner: Runner, pipeline: Pipeline) -> JobEngine:
    """Everything that jobs stand on."""
    spool = open_spool(settings)
    flights = Flights(pipeline, settings.temp_dir)
    store: JobStore
    workforce: Workforce
    if settings.job_backend == "celery":
        store = shared = open_shared_store(settings)
        workforce = Dispatcher(shared, Broker(settings))
    else:
        store = open_store(settings)
        workforce = Worker(store, spool, flights, runner, settings)
    engine: JobEngine

    async def body_of(job: Job) -> bytes:
        return await status_body(engine, await engine.standing(job.id), settings.job_concurrency)

    engine = JobEngine(settings, store, spool, flights, workforce, Deliverer(store, body_of, settings))
    return engine


def make_fetcher(settings: Settings) -> Fetcher:
    """What reads recordings from URLs."""
    return Fetcher(settings, SystemResolver(), trusted_authorities())


# From the outermost to the innermost.
TranscriptionService.add_asgi_middleware(SecurityHeadersMiddleware)  # type: ignore[attr-defined]
TranscriptionService.add_asgi_middleware(EdgeMiddleware)  # type: ignore[attr-defined]
if settings.origins:
    TranscriptionService.add_asgi_middleware(CORSMiddleware, **cors_options(settings))  # type: ignore[attr-defined]
TranscriptionService.add_asgi_middleware(AccessMiddleware, settings=settings)  # type: ignore[attr-defined]
if settings.enable_rate_limit:
    TranscriptionService.add_asgi_middleware(LimitsMiddleware, settings=settings)  # type: ignore[attr-defined]
TranscriptionService.add_asgi_middleware(PaceMiddleware, settings=settings)  # type: ignore[attr-defined]
if settings.task_queue == "own":
    TranscriptionService.add_asgi_middleware(TaskMiddleware, backend=lambda: app.state.backend)  # type: ignore[attr-defined]
