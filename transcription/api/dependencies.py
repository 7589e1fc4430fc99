"""The parts of the running service that route handlers depend on."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Annotated, cast

from fastapi import Depends, Request

from runners.client.interface import Runner
from runners.client.recent_state import RecentState
from transcription.api.caller import access_of
from transcription.api.client_secrets import ClientSecrets
from transcription.api.job_feeds import JobFeeds
from transcription.api.job_status import StatusRenderer
from transcription.api.live.conversations import Conversations
from transcription.api.rendered import RenderedResults
from transcription.core.settings import Settings
from transcription.jobs.access import Access
from transcription.jobs.service import JobService
from transcription.live.sessions import LiveSessions
from transcription.media.intake.fetch import Fetcher
from transcription.pipeline.transcribe import Pipeline
from transcription.pipeline.transcriber import Transcriber
from transcription.telemetry.background import BackgroundTasks


@dataclass(frozen=True, slots=True)
class Backend:
    """Built once, when the process starts to serve. started: monotonic time, in seconds."""

    settings: Settings
    runner: Runner
    recent: RecentState
    pipeline: Pipeline
    transcriber: Transcriber
    jobs: JobService
    results: RenderedResults
    statuses: StatusRenderer
    feeds: JobFeeds
    fetcher: Fetcher
    background: BackgroundTasks
    live: LiveSessions
    conversations: Conversations
    secrets: ClientSecrets
    started: float = field(default_factory=time.monotonic)

    @property
    def uptime(self) -> float:
        """Seconds since the process began to serve."""
        return time.monotonic() - self.started


def backend_of(request: Request) -> Backend:
    """The backend that service.py put into the state of the application."""
    return cast(Backend, request.app.state.backend)


BackendDependency = Annotated[Backend, Depends(backend_of)]


def access_to_jobs(request: Request, backend: BackendDependency) -> Access:
    """What the sender of the request may do with jobs."""
    return access_of(request, backend.settings)


AccessDependency = Annotated[Access, Depends(access_to_jobs)]
