"""Errors on the wire: the only place that knows status codes, and the one shape that every error has."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field
from starlette.requests import Request
from starlette.responses import JSONResponse

from transcription.core import errors
from transcription.telemetry.logs import current_request_id

CLIENT_CLOSED_REQUEST = 499  # nginx's code, for the log: nobody is left to read it
RETRY_SECONDS = 5
MODEL_RETRY_SECONDS = 30  # the runner tries again to load its model that often


class ErrorBody(BaseModel):
    """What every error of every route looks like."""

    error: str = Field(description="Stable machine-readable type.", examples=["no_audio_stream"])
    message: str = Field(description="What was wrong and what to do about it.")
    detail: str = Field(description="More for an engineer; may be empty.")
    timestamp: str = Field(description="UTC, ISO 8601.", examples=["2026-11-23T10:30:00Z"])
    request_id: str = Field(description="The same as in the header X-Request-ID and in the log.")


@dataclass(frozen=True, slots=True)
class Kind:
    """How a kind of error is answered. example: a message, for the API document."""

    status: int
    error: str
    example: str


INTERNAL_ERROR = Kind(
    500, "internal_error", "Something went wrong on our side. Try again; if it stays, report the request_id."
)
SERVICE_UNAVAILABLE = Kind(503, "service_unavailable", "The service is not ready. Try again in a moment.")
# A class without an entry of its own is answered as its nearest base.
KINDS: Mapping[type[errors.TranscriptionError], Kind] = {
    errors.TranscriptionError: INTERNAL_ERROR,
    errors.UnsupportedFormat: Kind(
        400, "unsupported_format", "The file is not a recording of a supported format. Send mp3, wav, ogg, flac, ..."
    ),
    errors.FileTooLarge: Kind(413, "file_too_large", "The upload is larger than 1 GiB. Send a smaller file."),
    errors.AudioTooLong: Kind(413, "audio_too_long", "The recording is longer than 3600 s. Split it."),
    errors.InvalidParameter: Kind(422, "invalid_parameter", "temperature: Input should be less than or equal to 1"),
    errors.UnknownModel: Kind(422, "unknown_model", "No model is named 'hugo'. GET /models lists the names."),
    errors.UndecodableMedia: Kind(422, "undecodable_media", "The recording cannot be decoded. Export it again."),
    errors.NoAudioStream: Kind(422, "no_audio_stream", "No audio stream (1 video stream). Send a file with sound."),
    errors.AudioTooShort: Kind(422, "audio_too_short", "The recording is shorter than 0.1 s. Send a longer one."),
    errors.UnreachableUrl: Kind(422, "unreachable_url", "The URL answers 404. Check it, or send the file itself."),
    errors.RefusedWindow: Kind(
        422, "refused_recording", "Twice the model's process died of this recording. Convert it, or use another model."
    ),
    errors.MissingApiKey: Kind(401, "missing_api_key", "An API key is needed here. Send it as X-API-Key: KEY."),
    errors.InvalidApiKey: Kind(403, "invalid_api_key", "The API key is not valid here. Ask the operator for one."),
    errors.UploadTooSlow: Kind(408, "upload_too_slow", "No byte of the upload came for 30 s. Send it again."),
    errors.TooManyHeaders: Kind(431, "too_many_headers", "The request has 200 headers; at most 100 are read."),
    errors.UnknownJob: Kind(404, "unknown_job", "There is no job '0d3a'. Finished jobs are kept for a day."),
    errors.WrongJobState: Kind(409, "wrong_job_state", "The job is processing and has no result. Ask again later."),
    errors.IdempotencyConflict: Kind(
        409, "idempotency_conflict", "The Idempotency-Key was used for another submission. Choose a new one."
    ),
    errors.TooManyRequests: Kind(429, "too_many_requests", "Too many requests at once. Try again in a moment."),
    errors.RateLimitExceeded: Kind(429, "rate_limit_exceeded", "More than 30 uploads a minute. Try again in 17 s."),
    errors.TooManyUploads: Kind(
        429, "too_many_uploads", "You have 16 uploads at once, as many as are allowed. Wait for one to end."
    ),
    errors.RepeatedlyInterrupted: Kind(
        500, "repeatedly_interrupted", "The service stopped 4 times while it worked on this recording. Convert it."
    ),
    errors.JobTookTooLong: Kind(
        504, "job_took_too_long", "The recording took longer than JOB_TIMEOUT, 14400 s. Retry the job, or split it."
    ),
    errors.RecordingLost: Kind(
        500, "recording_lost", "The recording of the job is gone from the recording store. Submit it again."
    ),
    errors.DamagedStore: Kind(500, "damaged_store", "The database of the jobs is damaged. Tell the operator."),
    errors.NotEnabled: Kind(501, "not_enabled", "Jobs are turned off here. Leave 'async' out and wait for the answer."),
    errors.InsufficientStorage: Kind(
        503, "insufficient_storage", "There is no space left to store another job. Try again later."
    ),
    errors.ServiceUnavailable: SERVICE_UNAVAILABLE,
    errors.OutcomeUnknown: SERVICE_UNAVAILABLE,
    errors.ModelUnavailable: Kind(503, "model_unavailable", "The model 'base' could not be fetched from the hub."),
}
# Answers of the frameworks below us, which know nothing of our errors.
FOREIGN: Mapping[int, Kind] = {
    400: Kind(400, "bad_request", "The request is malformed. GET /docs shows what each route takes."),
    404: Kind(404, "not_found", "There is no such route. GET /docs lists the routes."),
    405: Kind(405, "method_not_allowed", "This route does not take that method. GET /docs lists the routes."),
    413: Kind(413, "file_too_large", "The request is too large. Send a smaller file."),
    415: Kind(415, "unsupported_media_type", "This content type is not accepted. Send multipart/form-data."),
    422: Kind(422, "invalid_parameter", "A parameter is wrong. GET /docs lists the parameters."),
    429: Kind(429, "too_many_requests", "Too many requests at once. Try again in a moment."),
    500: INTERNAL_ERROR,
    CLIENT_CLOSED_REQUEST: Kind(CLIENT_CLOSED_REQUEST, "client_closed_request", "The client went away."),
    501: Kind(501, "not_implemented", "This is not there yet."),
    503: SERVICE_UNAVAILABLE,
    504: Kind(504, "timeout", "The request took too long. Send a shorter recording."),
}


def kind_of(error: errors.TranscriptionError) -> Kind:
    """How an error of the domain is answered."""
    return next(KINDS[base] for base in type(error).__mro__ if base in KINDS)


def foreign_kind(status: int) -> Kind:
    """How an answer of a framework, 400 and above, reads in our shape."""
    if status in FOREIGN:
        return FOREIGN[status]
    like = FOREIGN[400] if status < INTERNAL_ERROR.status else INTERNAL_ERROR
    return replace(like, status=status)


def error_body(kind: Kind, message: str, detail: str = "") -> ErrorBody:
    """The one shape, stamped with the time and the id of the current request."""
    return ErrorBody(
        error=kind.error,
        message=message,
        detail=detail,
        timestamp=utc_now(),
        request_id=current_request_id(),
    )


def error_response(error: errors.TranscriptionError) -> JSONResponse:
    """The answer to an error of the domain."""
    kind = kind_of(error)
    headers = {}
    if isinstance(error, errors.ServiceUnavailable | errors.TooManyRequests):
        headers["Retry-After"] = str(max(1, round(error.retry_after)))
    elif isinstance(error, errors.ModelUnavailable):
        headers["Retry-After"] = str(MODEL_RETRY_SECONDS)
    elif isinstance(error, errors.MissingApiKey):
        headers["WWW-Authenticate"] = "Bearer"
    elif isinstance(error, errors.UploadTooSlow):
        headers["Connection"] = "close"  # the rest of the body is not waited for
    body = error_body(kind, error.message, error.detail).model_dump()
    if isinstance(error, errors.InvalidParameter) and error.parameter:  # OpenAI's shape has a place for it
        body["param"] = error.parameter
    return JSONResponse(body, kind.status, headers)


async def answer_domain_error(_: Request, error: Exception) -> JSONResponse:
    """FastAPI's exception handler for the errors of the domain."""
    if not isinstance(error, errors.TranscriptionError):
        raise error
    return error_response(error)


async def answer_validation_error(_: Request, error: Exception) -> JSONResponse:
    """FastAPI's exception handler for parameters that it checks itself."""
    if not isinstance(error, RequestValidationError):
        raise error
    problems = [f"{item['loc'][-1]}: {item['msg']}" for item in error.errors()]
    return error_response(errors.InvalidParameter("; ".join(problems)))


def utc_now() -> str:
    """Now, UTC, ISO 8601 with seconds, ending in Z."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
