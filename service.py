"""The two BentoML services, wired. `bentoml serve service:TranscriptionService` starts both."""

from __future__ import annotations

import asyncio
import gc
import signal
from collections.abc import Callable
from types import FrameType
from typing import Any

import bentoml
import structlog
from starlette.middleware.cors import CORSMiddleware

import endpoints
import timelimit
from addresses import AllowList
from allocator import give_memory_back_early
from api.access import AccessMiddleware
from api.app import create_app
from api.backend import Backend
from api.connection import bound_connections
from api.edge import EdgeMiddleware
from api.headers import SecurityHeadersMiddleware, cors_options
from api.health import is_ready
from api.jobs import status_body
from api.keys import InvalidKeys, open_keys
from api.limits import LimitsMiddleware
from api.native import ROUTE, NativeInput, TaskInput, answer_native
from api.pace import PaceMiddleware
from api.schemas import TranscriptionResponse
from api.tasks import ROUTE as TASK_ROUTE
from api.tasks import VERBS as TASK_VERBS
from api.tasks import TaskMiddleware
from chores import read_for_ever, sweep_for_ever
from errors import TranscriptionError
from jobs.broker import Broker
from jobs.dispatcher import Dispatcher
from jobs.engine import JobEngine, Workforce
from jobs.flights import Flights
from jobs.job import Job
from jobs.spool import open_spool, with_uploads_beside_jobs
from jobs.store import JobStore
from jobs.stores import open_shared_store, open_store
from jobs.webhooks import Deliverer
from jobs.worker import Worker
from logs import configure_logging
from media.fetch import Fetcher
from media.process import warm_up
from pinned import SystemResolver, trusted_authorities
from pipeline import Pipeline
from readings import API
from runners.client import RunnerClient
from runners.interface import Runner
from runners.recent import RecentState
from runners.whisper import make_whisper_runner
from settings import Settings, load_settings

# Our own time limit answers in our shape; BentoML's is only the net below it.
TIMEOUT_MARGIN = 60  # seconds

# Routes beside those of the application's document, for BentoML's figures.
OTHER_ROUTES = ("/ui", "/ui/{name}", ROUTE, TASK_ROUTE, *(f"{TASK_ROUTE}/{verb}" for verb in TASK_VERBS), "/state")

log = structlog.get_logger(__name__)
settings = with_uploads_beside_jobs(load_settings())
configure_logging(settings)
timelimit.install()
bound_connections()
app = create_app(settings)
endpoints.install((*app.openapi()["paths"], *OTHER_ROUTES))
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
        folders = {"temp": settings.temp_dir, "jobs": settings.jobs_dir}
        self.chores = [asyncio.create_task(sweep_for_ever(settings)), asyncio.create_task(read_for_ever(API, folders))]
        before_the_server_waits(self.engine.stop_soon)
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


def before_the_server_waits(stop: Callable[[], None]) -> None:
    """Call `stop` when SIGTERM comes. The server's own hook comes after the last connection, and some have no end."""
    loop = asyncio.get_running_loop()
    server = signal.getsignal(signal.SIGTERM)

    def handle(number: int, frame: FrameType | None) -> None:
        loop.call_soon_threadsafe(stop)
        if callable(server):
            server(number, frame)

    signal.signal(signal.SIGTERM, handle)


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
