"""BentoML's task protocol, backed by our durable jobs. `bentoml.SyncHTTPClient(...).transcribe_job` uses it.

Paths, methods, bodies and states are those of BentoML 1.4.39 (`_bentoml_impl/server/app.py`), which keeps tasks in
memory and loses them with the process.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from starlette.applications import Starlette
from starlette.datastructures import State
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from formats.registry import ResponseFormat
from transcription.api.admission import check_room
from transcription.api.answer import answer_recording, check_submission
from transcription.api.caller import access_of
from transcription.api.dependencies import backend_of
from transcription.api.errors import answer_domain_error, error_body, error_response, kind_of
from transcription.api.middleware.root_path import RootPathMiddleware
from transcription.api.parameters.parsing import json_fields, parse_parameters
from transcription.api.recording import upload_in
from transcription.api.route_facts import route_facts
from transcription.api.routes.native_input import TASK_ROUTE as ROUTE
from transcription.api.routes.transcription import submission_from
from transcription.api.schemas.jobs import utc
from transcription.api.shared_bodies import SharedResponse
from transcription.core.errors import InvalidParameter, TranscriptionError, WrongJobState, as_error
from transcription.jobs.job import Job, JobStatus
from transcription.media.intake.transfer import declared_size
from transcription.media.intake.upload import Upload

TASK_STATUS = {
    JobStatus.QUEUED: "pending",
    JobStatus.PROCESSING: "in_progress",
    JobStatus.COMPLETED: "completed",
    JobStatus.FAILED: "failed",
    JobStatus.CANCELLED: "canceled",
}
WRONG_STATE = 400  # as BentoML answers, in place of 409


class TaskMiddleware:
    """Answers the task routes in place of BentoML.

    state: the state of the FastAPI application; its `backend` also serves the tasks.
    """

    def __init__(self, app: ASGIApp, state: State) -> None:
        self._app = app
        tasks = Starlette(
            routes=ROUTES,
            exception_handlers={WrongJobState: answer_wrong_state, TranscriptionError: answer_domain_error},
        )
        tasks.state = state
        self._tasks = RootPathMiddleware(tasks)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        is_task = scope["type"] == "http" and scope["path"].startswith(f"{ROUTE}/")
        await (self._tasks if is_task else self._app)(scope, receive, send)


@route_facts(upload=True)
async def submit(request: Request) -> Response:
    """Accept the recording as a job."""
    backend = backend_of(request)
    await check_submission(request, backend, declared_size(request.headers) or 0)

    async def respond(upload: Upload) -> Response:
        parameters = parse_parameters((), json_fields(upload.fields)).model_copy(update={"async_": True})
        submission = submission_from(request, parameters, backend.settings)
        return _state(await backend.jobs.submit(upload, submission))

    return await answer_recording(backend, upload_in(request, backend.settings), respond)


async def status(request: Request) -> Response:
    """The status of the task."""
    return _state(await _job(request))


async def get(request: Request) -> Response:
    """The transcript as JSON, or the error that the same synchronous request would have been answered with."""
    job = await _job(request)
    if job.status is JobStatus.FAILED and job.failure:
        return error_response(as_error(job.failure))
    return SharedResponse(await backend_of(request).results.in_format(job, ResponseFormat.JSON, None))


@route_facts(upload=True)
async def retry(request: Request) -> Response:
    """Run a finished task again."""
    backend = backend_of(request)
    check_room(backend.settings)
    return _state(await backend.jobs.retry(_task_id(request), access_of(request, backend.settings)))


async def cancel(request: Request) -> Response:
    """Cancel an unfinished task."""
    job = await _job(request)
    if job.finished:
        raise WrongJobState(f"The task is already {TASK_STATUS[job.status]} and cannot be cancelled.")
    backend = backend_of(request)
    return _state(await backend.jobs.cancel(job.id, access_of(request, backend.settings)))


async def _job(request: Request) -> Job:
    backend = backend_of(request)
    return await backend.jobs.get(_task_id(request), access_of(request, backend.settings))


async def answer_wrong_state(_: Request, error: Exception) -> JSONResponse:
    """The answer to an operation that the state of the task does not allow, with BentoML's status code."""
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
        "status": TASK_STATUS[job.status],
        "created_at": utc(job.created_at),
        "executed_at": None if job.started_at is None else utc(job.started_at),
    }
    return JSONResponse(document)


ROUTES = [
    Route(f"{ROUTE}/submit", submit, methods=["POST"]),
    Route(f"{ROUTE}/status", status, methods=["GET"]),
    Route(f"{ROUTE}/get", get, methods=["GET"]),
    Route(f"{ROUTE}/retry", retry, methods=["POST"]),
    Route(f"{ROUTE}/cancel", cancel, methods=["PUT"]),
]
