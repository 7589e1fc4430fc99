"""GET and POST /transcribe: transcribe a recording, at once or as a job."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from formats import registry
from transcription.api.answer import Recording, answer_recording, answer_transcript, check_async, check_submission
from transcription.api.caller import access_of
from transcription.api.dependencies import Backend, BackendDependency
from transcription.api.documentation import (
    Document,
    Responses,
    error_responses,
    field_schemas,
    file_schema,
    multipart_body,
    query_parameter,
)
from transcription.api.errors import KINDS
from transcription.api.examples import transcript_content
from transcription.api.known_speakers import KNOWN_SCHEMAS, NAMES, Sample, known_voices, split_known, unheard
from transcription.api.parameters.parsing import FILE, URL, parse_parameters
from transcription.api.parameters.transcription import MAX_URL_CHARACTERS, Granularity, TranscriptionParameters
from transcription.api.recording import check_url as check_url_parameter
from transcription.api.recording import recording_of, upload_in, without_url
from transcription.api.request_headers import documented_headers, idempotency_key, is_no_store
from transcription.api.route_facts import route_facts
from transcription.api.schemas.jobs import JobAccepted, accepted
from transcription.api.schemas.transcript import JsonTranscript
from transcription.core.errors import (
    JobTookTooLong,
    RecordingLost,
    RepeatedlyInterrupted,
    UnknownJob,
    UnreadableJob,
    WrongJobState,
)
from transcription.core.settings import Settings
from transcription.core.speakers import KnownVoice
from transcription.jobs.job import KeptLayout
from transcription.jobs.submission import Submission
from transcription.jobs.webhooks.deliverer import check_url
from transcription.media.intake.transfer import declared_size
from transcription.media.intake.upload import Upload

Fields = Iterable[tuple[str, str]]

ASYNC = "async"  # the field that makes a request a job

URL_SCHEMA: Document = {
    "type": "string",
    "description": "URL of the recording, in place of a file. It must be https, and its host a public address.",
    "maxLength": MAX_URL_CHARACTERS,
    "example": "https://example.com/talk.mp3",
}
SCHEMAS = field_schemas(TranscriptionParameters)
PARAMETERS = [query_parameter(name, schema) for name, schema in SCHEMAS.items()]
BODY = multipart_body(
    "TranscribeForm",
    {
        FILE: file_schema("mp3, wav, ogg, flac, m4a, aac, wma, mp4, webm, avi, mov, mkv or flv; or send `url`."),
        URL: URL_SCHEMA,
        **SCHEMAS,
        **KNOWN_SCHEMAS,
    },
)
JOB_ERRORS = (
    UnknownJob,
    WrongJobState,
    UnreadableJob,
    RepeatedlyInterrupted,
    JobTookTooLong,
    RecordingLost,
)  # after the submission
RESPONSES: Responses = {
    200: {
        "model": JsonTranscript,
        "description": "The transcript in the requested format",
        "content": transcript_content(),
    },
    202: {"model": JobAccepted, "description": "With async=true: the job was accepted; Location is its status URL"},
    **error_responses(*(error for error in KINDS if error not in JOB_ERRORS)),
}

router = APIRouter(tags=["transcription"], dependencies=[Depends(documented_headers)])


@router.get(
    "/transcribe",
    summary="Transcribe the audio or video file at a URL",
    operation_id="transcribe_url",
    response_class=Response,
    responses=RESPONSES,
    openapi_extra={"parameters": [query_parameter(URL, URL_SCHEMA, required=True), *PARAMETERS]},
)
@route_facts(upload=True)
async def transcribe_url(request: Request, backend: BackendDependency) -> Response:
    """Transcribe the recording at a URL. The URL must be https and its host a public address.

    The limits of uploads apply.
    """
    return await answer_upload(request, backend, by_url=True)


@router.head("/transcribe", include_in_schema=False)
async def transcribe_url_head(request: Request, backend: BackendDependency) -> Response:
    """The headers of GET /transcribe that are known without work: nothing is fetched or transcribed."""
    check_url_parameter(request, backend.settings)
    parameters = parse_parameters(without_url(request.query_params.multi_items()))
    parameters.to_request(backend.settings)
    parameters.checked_layout()
    if parameters.async_:
        await check_submission(request, backend)
        response = Response(status_code=202, media_type="application/json")
    else:
        response = Response(headers={"Content-Type": parameters.response_format.record.content_type})
    del response.headers["content-length"]
    return response


@router.post(
    "/transcribe",
    summary="Transcribe an audio or video file",
    operation_id="transcribe",
    response_class=Response,
    responses=RESPONSES,
    openapi_extra={"requestBody": BODY, "parameters": [query_parameter(URL, URL_SCHEMA), *PARAMETERS]},
)
@route_facts(upload=True)
async def transcribe(request: Request, backend: BackendDependency) -> Response:
    """Send one recording as `multipart/form-data`. Each other parameter may be a form field or a query parameter.

    The answer is the transcript in the requested format or, with `async=true`, the id of a job. A recording without
    speech is not an error: its transcript is empty.
    """
    return await answer_upload(request, backend, by_url=True)


def as_sent(fields: Fields) -> Fields:
    """Form fields as plain text, as HTML forms and curl send them."""
    return fields


async def answer_upload(
    request: Request, backend: Backend, read_fields: Callable[[Fields], Fields] = as_sent, *, by_url: bool = False
) -> Response:
    """Answer with the transcript of the recording in the request's body, or with the job that transcribes it.

    read_fields: decodes the form fields of the route. by_url: the request may contain a URL in place of the file.
    Raises the errors of the domain.
    """
    query = request.query_params.multi_items()
    if by_url:
        query = without_url(query)
    # An invalid query is refused before the body is read.
    query_parameters = parse_parameters(query)
    query_parameters.to_request(backend.settings, complete=False)
    if query_parameters.async_:
        await check_submission(request, backend, declared_size(request.headers) or 0)

    def read_form(fields: Fields) -> tuple[TranscriptionParameters, list[Sample]]:
        """The parameters, all checked, and the samples of voices."""
        samples, others = split_known(list(read_fields(fields)))
        parameters = parse_parameters(query, others)
        parameters.check_speakers(*([NAMES] if samples else []))
        parameters.to_request(backend.settings, known=unheard(samples))
        if parameters.async_:
            submission_from(request, parameters, backend.settings)
        else:
            parameters.checked_layout()
        return parameters, samples

    async def before_file(fields: Sequence[tuple[str, str]]) -> None:
        if not query_parameters.async_ and parse_parameters((), _only_async(read_fields(fields))).async_:
            await check_submission(request, backend)

    async def before_download(fields: Sequence[tuple[str, str]]) -> None:
        parameters, _ = read_form(fields)
        if parameters.async_ and not query_parameters.async_:
            await check_submission(request, backend)

    async def respond(upload: Upload) -> Response:
        parameters, samples = read_form(upload.fields)
        known = await known_voices(samples, backend)
        if parameters.async_:
            return await accept_job(request, backend, upload, parameters, known)
        layout = parameters.checked_layout()
        render = partial(registry.render, response_format=parameters.response_format, layout=layout)
        options = parameters.to_request(backend.settings, known=known)
        return await answer_transcript(request, backend, upload, options, render)

    recording: Recording = (
        recording_of(request, backend, before_file, before_download)
        if by_url
        else upload_in(request, backend.settings, before_file=before_file)
    )
    return await answer_recording(backend, recording, respond)


def _only_async(fields: Fields) -> Fields:
    return [(name, value) for name, value in fields if name == ASYNC]


async def accept_job(
    request: Request,
    backend: Backend,
    upload: Upload,
    parameters: TranscriptionParameters,
    known: tuple[KnownVoice, ...] = (),
) -> JSONResponse:
    """Accept the upload as a job. The job is not cancelled if the client disconnects in the meantime."""
    check_async(backend)
    job = await backend.jobs.submit(upload, submission_from(request, parameters, backend.settings, known))
    answer = accepted(job, request)
    return JSONResponse(answer.model_dump(mode="json"), 202, {"Location": answer.status_url})


def submission_from(
    request: Request, parameters: TranscriptionParameters, settings: Settings, known: tuple[KnownVoice, ...] = ()
) -> Submission:
    """The submission of a job. known: people who may be among the speakers. Raises InvalidParameter, UnknownModel."""
    if parameters.callback_url:
        check_url(parameters.callback_url, settings)
    layout = parameters.checked_layout()
    return Submission(
        request=parameters.to_request(settings, known=known),
        response_format=parameters.response_format.value,
        idempotency_key=idempotency_key(request),
        callback_url=parameters.callback_url,
        private=is_no_store(request),
        layout=KeptLayout(layout, parameters.timestamp_granularity is Granularity.WORD) if layout else None,
        caller=access_of(request, settings).caller,
    )
