"""The errors of the domain. Only `transcription/api/errors.py` knows their HTTP status codes.

`message` states what was wrong and what to do about it; `detail` adds facts for an engineer.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass


class TranscriptionError(Exception):
    """Base of all errors that this service raises deliberately.

    code: stable and machine-readable; stored with failed jobs and sent to clients. Subclasses without one inherit it.
    """

    code = "internal_error"

    def __init__(self, message: str, detail: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.detail = detail

    def __reduce__(self) -> tuple[type[TranscriptionError], tuple[str, str]]:
        # Errors are pickled between the API and the runner.
        return type(self), (self.message, self.detail)


class UnsupportedFormat(TranscriptionError):
    """The file is not one of the supported formats, or not what its name or declared type says."""

    code = "unsupported_format"


class FileTooLarge(TranscriptionError):
    """More bytes than MAX_FILE_SIZE."""

    code = "file_too_large"


class AudioTooLong(TranscriptionError):
    """More seconds than MAX_DURATION."""

    code = "audio_too_long"


class InvalidParameter(TranscriptionError):
    """A request parameter is missing, misspelt or out of range.

    parameter: its name; empty if the error is not about a single one.
    """

    code = "invalid_parameter"

    def __init__(self, message: str, detail: str = "", parameter: str = "") -> None:
        super().__init__(message, detail)
        self.parameter = parameter

    def __reduce__(self) -> tuple[type[TranscriptionError], tuple[str, str, str]]:  # type: ignore[override]
        return type(self), (self.message, self.detail, self.parameter)


class UnreachableUrl(TranscriptionError):
    """The recording at a URL cannot be fetched."""

    code = "unreachable_url"


class UndecodableMedia(TranscriptionError):
    """The container is known, but no usable audio can be decoded from it."""

    code = "undecodable_media"


class NoAudioStream(UndecodableMedia):
    """The file has no audio stream."""

    code = "no_audio_stream"


class AudioTooShort(UndecodableMedia):
    """Less than 0.1 s of audio."""

    code = "audio_too_short"


class DecoderFailed(TranscriptionError):
    """The decoder crashed, or reached its limit of memory or CPU time, more than once on this recording."""

    code = "decoder_failed"


class RefusedWindow(TranscriptionError):
    """The runner crashed twice on a part of this recording."""

    code = "refused_recording"


class UnknownModel(InvalidParameter):
    """No model of this name is known or installed."""

    code = "unknown_model"


class ModelNotAllowed(InvalidParameter):
    """The model is known, but requests may not name it: ALLOWED_MODELS."""

    code = "model_not_allowed"


class ModelUnavailable(TranscriptionError):
    """The model is known, but cannot be loaded at present."""

    code = "model_unavailable"


class ServiceUnavailable(TranscriptionError):
    """Not ready, overloaded or stopping. retry_after: seconds to wait before a retry."""

    code = "service_unavailable"

    def __init__(self, message: str, detail: str = "", retry_after: float = 5.0) -> None:
        super().__init__(message, detail)
        self.retry_after = retry_after

    def __reduce__(self) -> tuple[type[TranscriptionError], tuple[str, str, float]]:  # type: ignore[override]
        return type(self), (self.message, self.detail, self.retry_after)


class DecoderFailedOnce(ServiceUnavailable):
    """The decoder crashed, or reached its limit of memory or CPU time. The recording may be the reason, or not."""

    code = DecoderFailed.code


class OutcomeUnknown(ServiceUnavailable):
    """The answer to a write was lost: it may or may not have taken effect."""


class Superseded(ServiceUnavailable):
    """A newer window of the same live session took the place of this one in the queue."""

    code = "superseded"


class NewerStore(ServiceUnavailable):
    """Jobs are stored by a newer version of the service, which this one cannot read."""

    code = "newer_store"


class TooManyRequests(TranscriptionError):
    """The client exceeds a limit. retry_after: seconds to wait before a retry."""

    code = "too_many_requests"

    def __init__(self, message: str, detail: str = "", retry_after: float = 5.0) -> None:
        super().__init__(message, detail)
        self.retry_after = retry_after


class RateLimitExceeded(TooManyRequests):
    """More requests a minute than the client may send."""

    code = "rate_limit_exceeded"


class TooManyUploads(TooManyRequests):
    """More concurrent uploads, or more bytes in them, than the client may send."""

    code = "too_many_uploads"


class TooManyStreams(TooManyRequests):
    """More concurrent streams of events than the client may have open."""

    code = "too_many_streams"


class TooManyJobs(TooManyRequests):
    """More unfinished jobs than the client may have."""

    code = "too_many_open_jobs"


class TooManyLiveMinutes(TooManyRequests):
    """More live audio than the client may send in an hour."""

    code = "too_many_live_minutes"


class InsufficientStorage(ServiceUnavailable):
    """The disk is too full for an upload or for another job."""

    code = "insufficient_storage"


class RecordingsUnavailable(ServiceUnavailable):
    """The storage of the jobs' recordings does not answer, or denies access. Jobs wait for it."""


class ResultUnavailable(ServiceUnavailable):
    """The file of a transcript cannot be read: it is missing or damaged, or the storage does not answer."""


class UnknownJob(TranscriptionError):
    """There is no such job, or it has expired."""

    code = "unknown_job"


class UnknownSession(TranscriptionError):
    """There is no such live session, or it has ended."""

    code = "unknown_session"


class WrongJobState(TranscriptionError):
    """The request does not apply to a job in this state."""

    code = "wrong_job_state"


class EditConflict(TranscriptionError):
    """The transcript of the job was changed since the client read it."""

    code = "edit_conflict"


class UnknownVersion(TranscriptionError):
    """The transcript of the job has no such version, or it is no longer kept."""

    code = "unknown_version"


class IdempotencyConflict(TranscriptionError):
    """The idempotency key was used for a different submission."""

    code = "idempotency_conflict"


class DamagedStore(TranscriptionError):
    """The job database cannot be read; the message names the remedy."""

    code = "damaged_store"


class RepeatedlyInterrupted(TranscriptionError):
    """Several processes in succession ended while they worked on this recording."""

    code = "repeatedly_interrupted"


class JobTookTooLong(TranscriptionError):
    """An attempt lasted longer than JOB_TIMEOUT."""

    code = "job_took_too_long"


class RecordingLost(TranscriptionError):
    """The recording of a job is no longer in the recording store."""

    code = "recording_lost"


class UnreadableJob(TranscriptionError):
    """What is stored of a job cannot be read: it was written by another version of the service, or damaged."""

    code = "unreadable_job"


class MissingApiKey(TranscriptionError):
    """The request needs an API key and has none."""

    code = "missing_api_key"


class InvalidApiKey(TranscriptionError):
    """The API key of the request is not valid."""

    code = "invalid_api_key"


class HostNotAllowed(TranscriptionError):
    """The request is for a host that the service does not answer for."""

    code = "host_not_allowed"


class CrossSiteRequest(TranscriptionError):
    """A page of another site makes the browser send the request."""

    code = "cross_site_request"


class UploadTooSlow(TranscriptionError):
    """The upload stalled, or was slower than MIN_UPLOAD_RATE."""

    code = "upload_too_slow"


class TooManyHeaders(TranscriptionError):
    """The request has more header fields than are accepted."""

    code = "too_many_headers"


class NotEnabled(TranscriptionError):
    """The feature is disabled in this deployment."""

    code = "not_enabled"


@dataclass(frozen=True, slots=True)
class Failure:
    """An error as a value, sent between processes or stored with a job.

    code: of the error's class. retry_after: seconds, None if the error has none.
    """

    code: str
    message: str
    detail: str = ""
    retry_after: float | None = None


def as_failure(error: TranscriptionError) -> Failure:
    """An error as a value."""
    retry_after = error.retry_after if isinstance(error, ServiceUnavailable | TooManyRequests) else None
    return Failure(error.code, error.message, error.detail, retry_after)


def as_error(failure: Failure) -> TranscriptionError:
    """The error that `as_failure` was given; a plain TranscriptionError for an unknown code."""
    error = _BY_CODE.get(failure.code, TranscriptionError)(failure.message, failure.detail)
    if isinstance(error, ServiceUnavailable | TooManyRequests) and failure.retry_after is not None:
        error.retry_after = failure.retry_after
    return error


def _classes(base: type[TranscriptionError]) -> Iterator[type[TranscriptionError]]:
    yield base
    for subclass in base.__subclasses__():
        yield from _classes(subclass)


# A class that inherits its code is represented by the one that defines it.
_BY_CODE = {kind.code: kind for kind in _classes(TranscriptionError) if "code" in vars(kind)}
_BY_CODE[DecoderFailed.code] = DecoderFailed  # not DecoderFailedOnce, which shares its code
