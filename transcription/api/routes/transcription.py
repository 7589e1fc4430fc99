"""POST /transcribe: a recording in, its transcript out."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from contextlib import AsyncExitStack

import structlog
from fastapi import APIRouter
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response

from formats import registry
from transcription.api.admission import check_room
from transcription.api.dependencies import Backend, BackendDependency
from transcription.api.disconnect import while_connected
from transcription.api.documentation import (
    TRANSCRIBE_BODY,
    TRANSCRIBE_HEADERS,
    TRANSCRIBE_PARAMETERS,
    TRANSCRIBE_RESPONSES,
    TRANSCRIBE_SUMMARY,
    URL_PARAMETER,
    URL_SUMMARY,
)
from transcription.api.errors import CLIENT_CLOSED_REQUEST
from transcription.api.job_schemas import accepted
from transcription.api.layout_parameters import warning_headers
from transcription.api.parameters import Granularity, TranscriptionParameters, parse_parameters
from transcription.api.recording import content_length, recording_of, upload_in, without_url
from transcription.core.errors import InvalidParameter, NotEnabled, ServiceUnavailable
from transcription.core.options import Ticket
from transcription.core.settings import Settings
from transcription.jobs.job import KeptLayout
from transcription.jobs.submission import Submission
from transcription.jobs.webhooks.deliverer import check_url
from transcription.media.intake.upload import Upload
from transcription.pipeline.transcriber import Source
from transcription.telemetry.logs import current_request_id, metadata_of
from transcription.telemetry.tracing import FORMAT, UPLOAD, traced

Fields = Iterable[tuple[str, str]]

MAX_KEY_CHARACTERS = 255
# RFC 9211.
CACHE_STATUS = {
    Source.HIT: "transcription; hit",
    Source.JOIN: "transcription; fwd=miss; collapsed; detail=join",
    Source.MISS: "transcription; fwd=miss; detail=miss",
    Source.BYPASS: "transcription; fwd=bypass; detail=bypass",
}

router = APIRouter()
log = structlog.get_logger(__name__)


@router.get(
    "/transcribe",
    summary=URL_SUMMARY,
    response_class=Response,
    responses=TRANSCRIBE_RESPONSES,
    openapi_extra={"parameters": [URL_PARAMETER, *TRANSCRIBE_PARAMETERS, *TRANSCRIBE_HEADERS]},
)
async def transcribe_url(request: Request, backend: BackendDependency) -> Response:
    """Transcribe the recording at a URL: https, on a public address, with the limits that uploads have."""
    return await answer_upload(request, backend, by_url=True)


@router.post(
    "/transcribe",
    summary=TRANSCRIBE_SUMMARY,
    response_class=Response,
    responses=TRANSCRIBE_RESPONSES,
    openapi_extra={
        "requestBody": TRANSCRIBE_BODY,
        "parameters": [{**URL_PARAMETER, "required": False}, *TRANSCRIBE_PARAMETERS, *TRANSCRIBE_HEADERS],
    },
)
async def transcribe(request: Request, backend: BackendDependency) -> Response:
    """Send one recording as `multipart/form-data`. Every other parameter may be a form field or a query parameter.

    The transcript comes back in the format asked for; with `async=true` a job's id comes back at once. A recording
    without speech is no error: its text is empty.
    """
    return await answer_upload(request, backend, by_url=True)


def as_sent(fields: Fields) -> Fields:
    """Form fields as plain text, the way HTML forms and curl send them."""
    return fields


async def answer_upload(
    request: Request, backend: Backend, read_fields: Callable[[Fields], Fields] = as_sent, *, by_url: bool = False
) -> Response:
    """Transcribe the recording in a request's body. A client that leaves takes its work with it.

    read_fields: how this route's callers encode form fields. by_url: the request may name a URL instead.
    Raises the errors of the domain.
    """
    return await in_time(_answer_upload(request, backend, read_fields, by_url=by_url), backend.settings)


async def in_time(answer: Awaitable[Response], settings: Settings) -> Response:
    """The answer, if it comes within REQUEST_TIMEOUT. Raises ServiceUnavailable, and the errors of the domain."""
    try:
        async with asyncio.timeout(settings.request_timeout):
            return await answer
    except ClientDisconnect:
        return Response(status_code=CLIENT_CLOSED_REQUEST)
    except TimeoutError as error:
        raise too_long(settings.request_timeout) from error


def too_long(seconds: float) -> ServiceUnavailable:
    """The error for more than REQUEST_TIMEOUT."""
    return ServiceUnavailable(
        f"The request took longer than {seconds:g} s. Send a shorter recording, or try again when the service is less "
        "busy.",
        retry_after=60,
    )


async def _answer_upload(
    request: Request, backend: Backend, read_fields: Callable[[Fields], Fields], *, by_url: bool
) -> Response:
    query = request.query_params.multi_items()
    if by_url:
        query = without_url(query)
    early = parse_parameters(query)  # refused before the body is read, if that is enough to tell
    early.to_request(backend.settings)
    check_room(backend.settings)
    if early.async_:
        check_jobs(request, backend)
    async with AsyncExitStack() as stack:
        with traced(UPLOAD):
            upload = await stack.enter_async_context(
                recording_of(request, backend) if by_url else upload_in(request, backend.settings)
            )
        parameters = parse_parameters(query, read_fields(upload.fields))
        if parameters.async_:
            return await accept_job(request, backend, upload, parameters)
        layout = parameters.checked_layout()
        work = backend.transcriber.transcribe(
            upload, parameters.to_request(backend.settings), Ticket(current_request_id()), is_private(request)
        )
        transcript, source = await while_connected(request, work)
    log.info("transcribed", source=source.value, metadata=metadata_of(transcript, upload.size))
    with traced(FORMAT):
        # Laying out an hour takes a second; others are served meanwhile.
        rendered = await asyncio.to_thread(registry.render, transcript, parameters.response_format, layout)
    headers = {"Content-Type": rendered.content_type, "Cache-Status": CACHE_STATUS[source]}
    return Response(rendered.body, headers=headers | warning_headers(rendered))


async def accept_job(
    request: Request, backend: Backend, upload: Upload, parameters: TranscriptionParameters
) -> JSONResponse:
    """The upload as a job, and where to ask for it."""
    check_jobs(request, backend)
    job = await backend.jobs.submit(upload, submission_from(request, parameters, backend.settings))
    answer = accepted(job)
    return JSONResponse(answer.model_dump(mode="json"), 202, {"Location": answer.status_url})


def submission_from(request: Request, parameters: TranscriptionParameters, settings: Settings) -> Submission:
    """What a request says about a job. Raises InvalidParameter, UnknownModel."""
    if parameters.callback_url:
        check_url(parameters.callback_url, settings)
    layout = parameters.checked_layout()
    return Submission(
        request=parameters.to_request(settings),
        response_format=parameters.response_format.value,
        idempotency_key=_idempotency_key(request),
        callback_url=parameters.callback_url,
        private=is_private(request),
        layout=KeptLayout(layout, parameters.timestamp_granularity is Granularity.WORD) if layout else None,
    )


def check_jobs(request: Request, backend: Backend) -> None:
    """Whether a job can be accepted now, as far as the headers tell. Raises NotEnabled, InsufficientStorage."""
    if not backend.settings.enable_async:
        raise NotEnabled("Jobs are turned off here (ENABLE_ASYNC=false). Leave 'async' out and wait for the answer.")
    backend.jobs.check_space(content_length(request) or 0)


def is_private(request: Request) -> bool:
    """Whether the client wants nothing of this request stored or shared (RFC 9111, section 5.2.1.5)."""
    directives = request.headers.get("cache-control", "").lower().split(",")
    return "no-store" in (directive.strip() for directive in directives)


def _idempotency_key(request: Request) -> str | None:
    key = request.headers.get("idempotency-key")
    if key is not None and not 0 < len(key) <= MAX_KEY_CHARACTERS:
        raise InvalidParameter(f"The Idempotency-Key must have 1 to {MAX_KEY_CHARACTERS} characters, not {len(key)}.")
    return key
