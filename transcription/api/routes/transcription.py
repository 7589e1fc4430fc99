"""GET and POST /transcribe: a recording in, its transcript out."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from formats import registry
from transcription.api.answer import answer_recording, answer_transcript, check_jobs
from transcription.api.dependencies import Backend, BackendDependency
from transcription.api.documentation import (
    TRANSCRIBE_BODY,
    TRANSCRIBE_HEADERS,
    TRANSCRIBE_PARAMETERS,
    TRANSCRIBE_RESPONSES,
    TRANSCRIBE_SUMMARY,
    URL_PARAMETER,
    URL_SUMMARY,
)
from transcription.api.job_schemas import accepted
from transcription.api.parameters import Granularity, TranscriptionParameters, parse_parameters
from transcription.api.recording import recording_of, upload_in, without_url
from transcription.api.request_headers import idempotency_key, is_no_store
from transcription.api.route_facts import route_facts
from transcription.core.settings import Settings
from transcription.jobs.job import KeptLayout
from transcription.jobs.submission import Submission
from transcription.jobs.webhooks.deliverer import check_url
from transcription.media.intake.upload import Upload

Fields = Iterable[tuple[str, str]]

router = APIRouter()


@router.get(
    "/transcribe",
    summary=URL_SUMMARY,
    response_class=Response,
    responses=TRANSCRIBE_RESPONSES,
    openapi_extra={"parameters": [URL_PARAMETER, *TRANSCRIBE_PARAMETERS, *TRANSCRIBE_HEADERS]},
)
@route_facts(upload=True)
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
@route_facts(upload=True)
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
    """Answer with the transcript of the recording in the request's body, or with the job that will transcribe it.

    read_fields: decodes the form fields of this route. by_url: the request may name a URL in place of the file.
    Raises the errors of the domain.
    """
    query = request.query_params.multi_items()
    if by_url:
        query = without_url(query)
    early = parse_parameters(query)  # what the query alone rules out is refused before the body is read
    early.to_request(backend.settings)
    if early.async_:
        check_jobs(request, backend)

    async def respond(upload: Upload) -> Response:
        parameters = parse_parameters(query, read_fields(upload.fields))
        if parameters.async_:
            return await accept_job(request, backend, upload, parameters)
        layout = parameters.checked_layout()
        render = partial(registry.render, response_format=parameters.response_format, layout=layout)
        return await answer_transcript(request, backend, upload, parameters.to_request(backend.settings), render)

    recording = recording_of(request, backend) if by_url else upload_in(request, backend.settings)
    return await answer_recording(request, backend, recording, respond)


async def accept_job(
    request: Request, backend: Backend, upload: Upload, parameters: TranscriptionParameters
) -> JSONResponse:
    """Accept the upload as a job. A client that disconnects meanwhile does not cancel it."""
    check_jobs(request, backend)
    job = await backend.jobs.submit(upload, submission_from(request, parameters, backend.settings))
    answer = accepted(job)
    return JSONResponse(answer.model_dump(mode="json"), 202, {"Location": answer.status_url})


def submission_from(request: Request, parameters: TranscriptionParameters, settings: Settings) -> Submission:
    """What a request asks of a job. Raises InvalidParameter, UnknownModel."""
    if parameters.callback_url:
        check_url(parameters.callback_url, settings)
    layout = parameters.checked_layout()
    return Submission(
        request=parameters.to_request(settings),
        response_format=parameters.response_format.value,
        idempotency_key=idempotency_key(request),
        callback_url=parameters.callback_url,
        private=is_no_store(request),
        layout=KeptLayout(layout, parameters.timestamp_granularity is Granularity.WORD) if layout else None,
    )
