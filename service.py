"""The two BentoML services, composed. `bentoml serve service:TranscriptionService` starts both."""

from __future__ import annotations

from typing import Any

import bentoml

from runners.whisper import make_whisper_runner
from transcription import bentoml_patches
from transcription.api.app import create_app, route_table
from transcription.api.lifecycle import check_settings, start_process
from transcription.api.middleware_stack import middleware_stack
from transcription.api.routes.health import is_ready
from transcription.api.routes.native import ROUTE, NativeInput, TaskInput, answer_native
from transcription.api.routes.tasks import ROUTE as TASK_ROUTE
from transcription.api.schemas.transcript import TranscriptionResponse
from transcription.core.settings import load_settings
from transcription.jobs.recordings.open import with_uploads_beside_jobs
from transcription.telemetry.logs import configure_logging

# Our own time limit takes effect first and answers in our shape; BentoML's is the safety net.
TIMEOUT_MARGIN = 60  # seconds

settings = with_uploads_beside_jobs(load_settings())
configure_logging(settings)
app = create_app(settings)
routes = route_table()
whisper_runner = make_whisper_runner(settings)
bentoml_patches.install((*routes.metric_labels, *(api.route for api in whisper_runner.apis.values())))


@bentoml.service(
    name="transcription",
    workers=settings.workers,
    http={"host": settings.host, "port": settings.port},
    traffic={"timeout": settings.request_timeout + TIMEOUT_MARGIN},
)
@bentoml.asgi_app(app, path="/")
class TranscriptionService:
    """Transcribes audio and video files into text with timestamps."""

    runner = bentoml.depends(whisper_runner)

    @bentoml.on_deployment  # type: ignore[untyped-decorator]
    @staticmethod
    def check() -> None:
        """Refuse to start on settings that cannot work, before any process starts."""
        check_settings(settings)

    @bentoml.on_startup  # type: ignore[untyped-decorator]
    async def start(self) -> None:
        """Connect to the runner and start the background tasks."""
        self.process = start_process(settings, self.runner)
        app.state.backend = self.process.backend

    @bentoml.on_shutdown  # type: ignore[untyped-decorator]
    async def stop(self) -> None:
        """Stop the background tasks; running jobs return to the queue."""
        await self.process.stop()

    @bentoml.api(route=ROUTE, input_spec=NativeInput)  # type: ignore[untyped-decorator]
    async def transcribe(self, ctx: bentoml.Context, **_: Any) -> TranscriptionResponse:
        """Transcribe one recording. The parameters are those of POST /transcribe; the answer is always JSON."""
        return await answer_native(ctx, self.process.backend)

    @bentoml.task(route=TASK_ROUTE, input_spec=TaskInput)  # type: ignore[untyped-decorator]
    async def transcribe_job(self, ctx: bentoml.Context, **_: Any) -> TranscriptionResponse:
        """Transcribe one recording as a task: submit, get_status, get, retry, cancel.

        Declared for the schema and the clients. Unless TASK_QUEUE=platform, TaskMiddleware answers all of them but the
        synchronous call.
        """
        return await answer_native(ctx, self.process.backend)

    async def __is_ready__(self) -> bool:
        """For BentoML's /readyz: whether /health/ready answers 200."""
        return await is_ready(self.process.backend)


for middleware in middleware_stack(settings, routes, app.state):
    TranscriptionService.add_asgi_middleware(middleware.cls, *middleware.args, **middleware.kwargs)  # type: ignore[attr-defined]
