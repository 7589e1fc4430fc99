"""The BentoML services, composed. `bentoml serve service:TranscriptionService` starts both; with RUNNER_URL, one."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from transcription.system.garbage import collect_rarely

collect_rarely()  # before the imports, most of a start

# isort: split
import bentoml

from runners.whisper import make_whisper_runner
from transcription import bentoml_patches
from transcription.api.routes.native_input import ROUTE, TASK_ROUTE, NativeInput, TaskInput
from transcription.api.schemas.transcript import TranscriptionResponse
from transcription.api.start_checks import check_settings
from transcription.bentoml_patches.deferred import Deferred
from transcription.core.settings import load_settings
from transcription.jobs.recordings.open import with_uploads_beside_jobs
from transcription.system.descriptors import connections_within, raise_descriptor_limit
from transcription.system.supervision import end_with_supervisor
from transcription.telemetry.logs import configure_logging

if TYPE_CHECKING:
    from transcription.api.edge import Edge

TIMEOUT_MARGIN = 60  # seconds: our own time limit answers first, in our shape; BentoML's is the safety net

settings = with_uploads_beside_jobs(load_settings())
configure_logging(settings)
connections = connections_within(raise_descriptor_limit())  # in each process: all import this module
WhisperRunner = whisper_runner = make_whisper_runner(settings)
native_routes = tuple(api.route for api in whisper_runner.apis.values())
bentoml_patches.install(native_routes)


@cache
def edge() -> Edge:
    """The HTTP side, created only in the process that serves it, not in the supervisor or the runner's process."""
    from transcription.api.edge import Edge

    made = Edge(settings, connections)
    bentoml_patches.install_edge((*made.metric_labels, *native_routes), made.route_path, *made.connection_limits)
    return made


@bentoml.service(
    name="transcription",
    image=bentoml_patches.image(),
    workers=settings.workers,
    http={"host": settings.host, "port": settings.port},
    traffic={"timeout": settings.request_timeout + TIMEOUT_MARGIN},
)
class TranscriptionService:
    """Transcribes audio and video files into text with timestamps."""

    runner = None if settings.runner_url else bentoml.depends(whisper_runner)

    @bentoml.on_deployment  # type: ignore[untyped-decorator]
    @staticmethod
    def check() -> None:
        """Refuse to start on settings that cannot work, before any process starts."""
        check_settings(settings)
        bentoml_patches.install_supervisor()

    @bentoml.on_startup  # type: ignore[untyped-decorator]
    async def start(self) -> None:
        """Connect to the runner and start the background tasks."""
        end_with_supervisor(settings.watchdog_timeout)
        await edge().start(self.runner)

    @bentoml.on_shutdown  # type: ignore[untyped-decorator]
    async def stop(self) -> None:
        """Stop the background tasks; running jobs return to the queue."""
        await edge().stop()

    @bentoml.api(route=ROUTE, input_spec=NativeInput)  # type: ignore[untyped-decorator]
    async def transcribe(self, ctx: bentoml.Context, **_: Any) -> TranscriptionResponse:
        """Transcribe one recording. The parameters are those of POST /transcribe; the answer is always JSON."""
        return await edge().answer_native(ctx)

    @bentoml.task(route=TASK_ROUTE, input_spec=TaskInput)  # type: ignore[untyped-decorator]
    async def transcribe_job(self, ctx: bentoml.Context, **_: Any) -> TranscriptionResponse:
        """Transcribe one recording as a task: submit, get_status, get, retry, cancel.

        Declared for schema and clients; unless TASK_QUEUE=platform, TaskMiddleware answers all but synchronous calls.
        """
        return await edge().answer_native(ctx)

    async def __is_ready__(self) -> bool:
        """The answer of BentoML's /readyz: whether /health/ready answers 200."""
        return await edge().is_ready()


# Assigned, not decorated: the decorators need the objects when this module is imported.
TranscriptionService.mount_apps = Deferred(lambda: [(edge().app, "/", "api")])  # type: ignore[attr-defined]
TranscriptionService.middlewares = Deferred(lambda: edge().middlewares())  # type: ignore[attr-defined]
