"""BentoML's task protocol on our jobs: what `bentoml.SyncHTTPClient(...).transcribe_job` speaks.

The paths, verbs, bodies and states are those of BentoML 1.4.39 (`_bentoml_impl/server/app.py`); its own local store
loses tasks with the process.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from formats.registry import ResponseFormat, render
from transcription.api.admission import check_room
from transcription.api.answer import answer_recording, check_jobs
from transcription.api.dependencies import Backend
from transcription.api.errors import answer_domain_error, error_body, error_response, kind_of
from transcription.api.job_schemas import utc
from transcription.api.parameters import json_fields, parse_parameters
from transcription.api.recording import upload_in
from transcription.api.routes.transcription import submission_from
from transcription.core.errors import InvalidParameter, TranscriptionError, WrongJobState, as_error
from transcription.jobs.job import Job, JobStatus
from transcription.media.intake.upload import Upload

ROUTE = "/api/transcribe_job"
VERBS = ("submit", "status", "get", "retry", "cancel")
STATES = {
    JobStatus.QUEUED: "pending",
    JobStatus.PROCESSING: "in_progress",
    JobStatus.COMPLETED: "completed",
    JobStatus.FAILED: "failed",
    JobStatus.CANCELLED: "canceled",
}
WRONG_STATE = 400  # where REST says 409


class TaskMiddleware:
    """Answers the task routes before BentoML's native ones see them.

    backend: gives the backend once the service has started.
    """

    def __init__(self, app: ASGIApp, backend: Callable[[], Backend]) -> None:
        self._app = app
        tasks = Tasks(backend)
        self._tasks = Starlette(
            routes=[
                Route(f"{ROUTE}/submit", tasks.submit, methods=["POST"]),
                Route(f"{ROUTE}/status", tasks.status, methods=["GET"]),
                Route(f"{ROUTE}/get", tasks.get, methods=["GET"]),
                Route(f"{ROUTE}/retry", tasks.retry, methods=["POST"]),
                Route(f"{ROUTE}/cancel", tasks.cancel, methods=["PUT"]),
            ],
            exception_handlers={WrongJobState: answer_wrong_state, TranscriptionError: answer_domain_error},
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        is_task = scope["type"] == "http" and scope["path"].startswith(f"{ROUTE}/")
        await (self._tasks if is_task else self._app)(scope, receive, send)


class Tasks:
    """The five routes."""

    def __init__(self, backend: Callable[[], Backend]) -> None:
        self._backend = backend

    async def submit(self, request: Request) -> Response:
        """Accept the recording as a job."""
        backend = self._backend()
        check_jobs(request, backend)

        async def respond(upload: Upload) -> Response:
            parameters = parse_parameters((), json_fields(upload.fields)).model_copy(update={"async_": True})
            submission = submission_from(request, parameters, backend.settings)
            return _state(await backend.jobs.submit(upload, submission))

        return await answer_recording(request, backend, upload_in(request, backend.settings), respond)

    async def status(self, request: Request) -> Response:
        """Where the task stands."""
        return _state(await self._job(request))

    async def get(self, request: Request) -> Response:
        """The transcript as JSON, or the error that the same synchronous request would have had."""
        job = await self._job(request)
        if job.status is JobStatus.FAILED and job.failure:
            return error_response(as_error(job.failure))
        transcript = await self._backend().jobs.result(job)
        rendered = render(transcript, ResponseFormat.JSON)
        return Response(rendered.body, headers={"Content-Type": rendered.content_type})

    async def retry(self, request: Request) -> Response:
        """Do a finished task again."""
        check_room(self._backend().settings)
        return _state(await self._backend().jobs.retry(_task_id(request)))

    async def cancel(self, request: Request) -> Response:
        """End an unfinished task."""
        job = await self._job(request)
        if job.finished:
            raise WrongJobState(f"The task is {STATES[job.status]} already and cannot be cancelled.")
        return _state(await self._backend().jobs.cancel(job.id))

    async def _job(self, request: Request) -> Job:
        return await self._backend().jobs.get(_task_id(request))


async def answer_wrong_state(_: Request, error: Exception) -> JSONResponse:
    """As BentoML answers it."""
    assert isinstance(error, WrongJobState)
    kind = replace(kind_of(error), status=WRONG_STATE)
    return JSONResponse(error_body(kind, error.message, error.detail).model_dump(), kind.status)


def _task_id(request: Request) -> str:
    task_id = request.query_params.get("task_id")
    if not task_id:
        raise InvalidParameter("'task_id' is required in the query.")
    return task_id


def _state(job: Job) -> JSONResponse:
    document: dict[str, Any] = {
        "task_id": job.id,
        "status": STATES[job.status],
        "created_at": utc(job.created_at),
        "executed_at": None if job.started_at is None else utc(job.started_at),
    }
    return JSONResponse(document)
