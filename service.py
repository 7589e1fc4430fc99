"""The two BentoML services, wired. `bentoml serve service:TranscriptionService` starts both."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import bentoml
import structlog

from allocator import give_memory_back_early
from api.app import create_app
from api.backend import Backend
from api.edge import EdgeMiddleware
from api.health import is_ready
from api.native import ROUTE, NativeInput, answer_native
from api.schemas import TranscriptionResponse
from logs import configure_logging
from media.process import warm_up
from media.sweep import sweep
from pipeline import Pipeline
from runners.client import RunnerClient
from runners.whisper import make_whisper_runner
from settings import Settings, load_settings

# Our own time limit answers in our shape; BentoML's is only the net below it.
TIMEOUT_MARGIN = 60  # seconds

log = structlog.get_logger(__name__)
settings = load_settings()
configure_logging(settings)
app = create_app(settings)
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

    @bentoml.on_startup  # type: ignore[untyped-decorator]
    async def start(self) -> None:
        """Make TEMP_DIR ready, connect to the runner and keep TEMP_DIR clean."""
        give_memory_back_early()  # here, not on import: the runner's process imports this module too
        settings.temp_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        warm_up()
        runner = RunnerClient(self.runner)
        self.backend = Backend(settings, runner, Pipeline(settings, runner))
        app.state.backend = self.backend
        self.sweeper = asyncio.create_task(sweep_for_ever(settings))

    @bentoml.on_shutdown  # type: ignore[untyped-decorator]
    async def stop(self) -> None:
        """Leave nothing running."""
        self.sweeper.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self.sweeper

    @bentoml.api(route=ROUTE, input_spec=NativeInput)  # type: ignore[untyped-decorator]
    async def transcribe(self, ctx: bentoml.Context, **_: Any) -> TranscriptionResponse:
        """Transcribe one recording. The same parameters as POST /transcribe; the answer is always JSON."""
        response = await answer_native(ctx.request, self.backend)
        ctx.response.status_code = response.status_code  # BentoML overwrites the response's own with it
        return response  # type: ignore[return-value]  # sent as it is; the annotation is for the clients

    async def __is_ready__(self) -> bool:
        """For BentoML's /readyz: what /health/ready says."""
        return await is_ready(self.backend)


async def sweep_for_ever(settings: Settings) -> None:
    """Remove orphans from TEMP_DIR now and every CLEANUP_INTERVAL."""
    while True:
        removed = await asyncio.to_thread(sweep, settings.temp_dir, settings.cleanup_interval)
        if removed:
            log.warning("orphans_removed", files=len(removed))
        await asyncio.sleep(settings.cleanup_interval)


TranscriptionService.add_asgi_middleware(EdgeMiddleware)  # type: ignore[attr-defined]
