"""Errors over HTTP: the status code of each error, and the body that all errors share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import structlog
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field
from starlette.requests import Request
from starlette.responses import JSONResponse

from transcription.api.server_paths import without_paths
from transcription.core import errors
from transcription.system.disk import is_full
from transcription.telemetry.logs import current_request_id

log = structlog.get_logger(__name__)

CLIENT_CLOSED_REQUEST = 499  # nginx's code, for the access log: the client is gone
RETRY_SECONDS = 5
DISK_RETRY_SECONDS = 60.0
MODEL_RETRY_SECONDS = 30  # the interval at which the runner retries to load its model


class ErrorBody(BaseModel):
    """The body of every error of every route."""

    error: str = Field(description="Stable, machine-readable code.", examples=["no_audio_stream"])
    message: str = Field(description="What was wrong and what to do about it.")
    detail: str = Field(description="Technical details for an engineer; may be empty.")
    timestamp: str = Field(description="UTC, ISO 8601.", examples=["2026-11-23T10:30:00Z"])
    request_id: str = Field(description="The same as in the X-Request-ID header and in the log.")


@dataclass(frozen=True, slots=True)
class ErrorKind:
    """The answer to a kind of error. code: the `error` of its body. example: a message, for the API document."""

    status: int
    code: str
    example: str


NOT_READY = "The service is not ready. Try again in a moment."
_STATUS_AND_EXAMPLE: Mapping[type[errors.TranscriptionError], tuple[int, str]] = {
    errors.TranscriptionError: (
        500,
        "Something went wrong in the service. Try again; if the error persists, report the request_id.",
    ),
    errors.UnsupportedFormat: (
        400,
        "The file is not a recording in a supported format. Send mp3, wav, ogg, flac, ...",
    ),
    errors.MissingApiKey: (401, "An API key is required. Send it as X-API-Key: KEY."),
    errors.InvalidApiKey: (403, "The API key is invalid. Ask the operator of this service for one."),
    errors.HostNotAllowed: (
        403,
        "This service does not answer for the host 'example.com'. Its operator can add the name to ALLOWED_HOSTS.",
    ),
    errors.CrossSiteRequest: (
        403,
        "The request comes from a page of 'https://example.com', which may not use this service. Its operator can add "
        "the page's origin to CORS_ORIGINS.",
    ),
    errors.UnknownJob: (404, "There is no job '0d3a'. Finished jobs are kept for one day."),
    errors.UnknownSession: (404, "There is no such session. Start another one."),
    errors.UnknownVersion: (404, "The transcript has no version 3. Those that are kept: 0, 1, 2."),
    errors.UploadTooSlow: (408, "No data arrived for 30 s. Check the connection and send the upload again."),
    errors.WrongJobState: (409, "The job is processing and has no result yet. Try again later."),
    errors.UnreadableJob: (409, "What is stored of this job cannot be read. Submit the recording again."),
    errors.IdempotencyConflict: (409, "The Idempotency-Key was used for another submission. Choose a new one."),
    errors.EditConflict: (412, "The transcript was changed since you read it. Read it again, and send your changes."),
    errors.FileTooLarge: (413, "The upload is larger than 1 GiB. Send a smaller file."),
    errors.AudioTooLong: (413, "The recording is longer than 3600 s. Split it."),
    errors.InvalidParameter: (422, "temperature: Input should be less than or equal to 1"),
    errors.UnknownModel: (422, "There is no model 'hugo'. GET /models lists the names."),
    errors.ModelNotAllowed: (
        422,
        "The model 'medium' is not available on this server. GET /models lists others.",
    ),
    errors.UndecodableMedia: (422, "The recording cannot be decoded. Export it again."),
    errors.NoAudioStream: (422, "No audio stream (1 video stream). Send a file with sound."),
    errors.AudioTooShort: (422, "The recording is shorter than 0.1 s. Send a longer one."),
    errors.DecoderFailed: (
        422,
        "The decoder crashed on this recording, more than once. Convert it to WAV or MP3.",
    ),
    errors.UnreachableUrl: (422, "The URL answers 404. Check it, or send the file itself."),
    errors.RefusedWindow: (
        422,
        "The model's process crashed twice on this recording. Convert the recording, or use another model.",
    ),
    errors.TooManyRequests: (429, "Too many concurrent requests. Try again in a moment."),
    errors.RateLimitExceeded: (429, "More than 30 uploads per minute. Try again in 17 s."),
    errors.TooManyUploads: (429, "You have 16 uploads in progress, the maximum. Wait until one has finished."),
    errors.TooManyStreams: (429, "You have 100 event streams open, the maximum. Close one, or poll the status."),
    errors.TooManyJobs: (429, "You have 1000 unfinished jobs, the maximum. Wait until one has finished."),
    errors.TooManyLiveMinutes: (
        429,
        "You have sent 480 minutes of live audio within an hour, the maximum. Try again in 1200 s.",
    ),
    errors.TooManyHeaders: (431, "The request has 200 headers; the limit is 100. Send fewer."),
    errors.RepeatedlyInterrupted: (
        500,
        "The service was interrupted 4 times while it worked on this recording. Convert the recording.",
    ),
    errors.RecordingLost: (500, "The job's recording is no longer in the recording store. Submit it again."),
    errors.DamagedStore: (500, "The job database is damaged. Tell the operator of this service."),
    errors.NotEnabled: (501, "Jobs are turned off in this deployment. Leave 'async' out and wait for the answer."),
    errors.ServiceUnavailable: (503, NOT_READY),
    errors.DecoderFailedOnce: (503, "The decoder crashed. Try again."),
    errors.OutcomeUnknown: (503, NOT_READY),
    errors.Superseded: (503, "A newer part of the session is decoded in its place."),
    errors.NewerStore: (503, "The jobs are stored by a newer version of the service. Run that version."),
    errors.RecordingsUnavailable: (503, "The storage of the recordings does not answer. Try again later."),
    errors.ResultUnavailable: (503, "The file of the transcript is missing from the recording store."),
    errors.InsufficientStorage: (503, "There is no space left to store another job. Try again later."),
    errors.ModelUnavailable: (503, "The model 'base' could not be downloaded from the hub."),
    errors.JobTookTooLong: (
        504,
        "The recording took longer than JOB_TIMEOUT, 14400 s. Retry the job, or split the recording.",
    ),
}
# A class without an entry of its own is answered as its nearest base.
KINDS: Mapping[type[errors.TranscriptionError], ErrorKind] = {
    error: ErrorKind(status, error.code, example) for error, (status, example) in _STATUS_AND_EXAMPLE.items()
}
INTERNAL_ERROR = KINDS[errors.TranscriptionError]
SERVICE_UNAVAILABLE = KINDS[errors.ServiceUnavailable]
# Errors of the frameworks below, which do not know the errors of the domain.
FRAMEWORK_ERRORS: Mapping[int, ErrorKind] = {
    kind.status: kind
    for kind in (
        ErrorKind(400, "bad_request", "The request is malformed. GET /docs describes what each route accepts."),
        ErrorKind(404, "not_found", "There is no such route. GET /docs lists the routes."),
        ErrorKind(405, "method_not_allowed", "The route does not support this method. GET /docs lists the routes."),
        ErrorKind(413, "file_too_large", "The request is too large. Send a smaller file."),
        ErrorKind(415, "unsupported_media_type", "The content type is not accepted. Send multipart/form-data."),
        ErrorKind(422, "invalid_parameter", "A parameter is invalid. GET /docs lists the parameters."),
        ErrorKind(429, "too_many_requests", "Too many concurrent requests. Try again in a moment."),
        ErrorKind(CLIENT_CLOSED_REQUEST, "client_closed_request", "The client disconnected."),
        ErrorKind(501, "not_implemented", "Not implemented."),
        ErrorKind(504, "timeout", "The request took too long. Send a shorter recording."),
        INTERNAL_ERROR,
        SERVICE_UNAVAILABLE,
    )
}


def kind_of(error: errors.TranscriptionError) -> ErrorKind:
    """The kind of an error of the domain."""
    return next(KINDS[base] for base in type(error).__mro__ if base in KINDS)


def framework_error(status: int) -> ErrorKind:
    """The kind of an error of a framework. status: 400 to 599; it is kept."""
    if status in FRAMEWORK_ERRORS:
        return FRAMEWORK_ERRORS[status]
    return replace(FRAMEWORK_ERRORS[400] if status < 500 else INTERNAL_ERROR, status=status)


def error_body(kind: ErrorKind, message: str, detail: str = "") -> ErrorBody:
    """The body of an error, with the time and the id of the current request."""
    return ErrorBody(
        error=kind.code,
        message=message,
        detail=without_paths(detail),
        timestamp=utc_now(),
        request_id=current_request_id(),
    )


def public_message(error: errors.TranscriptionError) -> str:
    """The message for clients. That of a damaged store is for its operator, with the commands that repair it."""
    return kind_of(error).example if isinstance(error, errors.DamagedStore) else error.message


def error_response(error: errors.TranscriptionError) -> JSONResponse:
    """The answer to an error of the domain."""
    kind = kind_of(error)
    if isinstance(error, errors.DamagedStore):
        log.critical("damaged_store", reason=error.message, detail=error.detail)
    headers = {}
    if isinstance(error, errors.ServiceUnavailable | errors.TooManyRequests):
        headers["Retry-After"] = str(max(1, round(error.retry_after)))
    elif isinstance(error, errors.ModelUnavailable):
        headers["Retry-After"] = str(MODEL_RETRY_SECONDS)
    elif isinstance(error, errors.MissingApiKey):
        headers["WWW-Authenticate"] = "Bearer"
    elif isinstance(error, errors.UploadTooSlow):
        headers["Connection"] = "close"  # the rest of the body is not read
    body = error_body(kind, public_message(error), error.detail).model_dump()
    if isinstance(error, errors.InvalidParameter) and error.parameter:  # for OpenAI's shape, which has a field for it
        body["param"] = error.parameter
    return JSONResponse(body, kind.status, headers)


async def answer_domain_error(_: Request, error: Exception) -> JSONResponse:
    """FastAPI's exception handler for errors of the domain."""
    if not isinstance(error, errors.TranscriptionError):
        raise error
    return error_response(error)


async def answer_full_disk(_: Request, error: Exception) -> JSONResponse:
    """FastAPI's exception handler for OSError: a full disk that no module below has reported in its own words."""
    if not isinstance(error, OSError) or not is_full(error):
        raise error
    return error_response(
        errors.InsufficientStorage(
            "The disk is full. Try again later, or tell the operator.", error.strerror or "", DISK_RETRY_SECONDS
        )
    )


async def answer_validation_error(_: Request, error: Exception) -> JSONResponse:
    """FastAPI's exception handler for parameters that FastAPI validates."""
    if not isinstance(error, RequestValidationError):
        raise error
    problems = [f"{item['loc'][-1]}: {item['msg']}" for item in error.errors()]
    return error_response(errors.InvalidParameter("; ".join(problems)))


def utc_now() -> str:
    """The current time in UTC as ISO 8601 with whole seconds, ending in Z."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
