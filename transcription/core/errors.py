"""Everything that can go wrong, as values of the domain. Only `transcription/api/errors.py` knows status codes.

`message` says what was wrong and what to do about it; `detail` adds what an engineer needs.
"""

from __future__ import annotations


class TranscriptionError(Exception):
    """Base of every error this service raises on purpose."""

    def __init__(self, message: str, detail: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.detail = detail

    def __reduce__(self) -> tuple[type[TranscriptionError], tuple[str, str]]:
        # Errors cross the process border between the API and the runner.
        return type(self), (self.message, self.detail)


class UnsupportedFormat(TranscriptionError):
    """The file is not one of the supported formats, or not what its name or declared type says."""


class FileTooLarge(TranscriptionError):
    """More bytes than MAX_FILE_SIZE."""


class AudioTooLong(TranscriptionError):
    """More seconds than MAX_DURATION."""


class InvalidParameter(TranscriptionError):
    """A request parameter is missing, misspelt or out of range. parameter: its name, "" when none is to blame alone."""

    def __init__(self, message: str, detail: str = "", parameter: str = "") -> None:
        super().__init__(message, detail)
        self.parameter = parameter

    def __reduce__(self) -> tuple[type[TranscriptionError], tuple[str, str, str]]:  # type: ignore[override]
        return type(self), (self.message, self.detail, self.parameter)


class UnreachableUrl(TranscriptionError):
    """The recording at a URL cannot be fetched."""


class UndecodableMedia(TranscriptionError):
    """The container is known, but no usable audio comes out of it."""


class NoAudioStream(UndecodableMedia):
    """The file holds no sound at all."""


class AudioTooShort(UndecodableMedia):
    """Less than 0.1 s of sound."""


class RefusedWindow(TranscriptionError):
    """The model's process died twice of a part of this recording."""


class UnknownModel(InvalidParameter):
    """No model of that name is known or on disk."""


class ModelUnavailable(TranscriptionError):
    """The model is known but cannot be loaded now."""


class ServiceUnavailable(TranscriptionError):
    """Not ready, overloaded or stopping. retry_after: seconds after which a retry makes sense."""

    def __init__(self, message: str, detail: str = "", retry_after: float = 5.0) -> None:
        super().__init__(message, detail)
        self.retry_after = retry_after

    def __reduce__(self) -> tuple[type[TranscriptionError], tuple[str, str, float]]:  # type: ignore[override]
        return type(self), (self.message, self.detail, self.retry_after)


class OutcomeUnknown(ServiceUnavailable):
    """The answer to a change was lost: it may have been made, or not."""


class TooManyRequests(TranscriptionError):
    """The caller asks too much. retry_after: seconds after which a retry makes sense."""

    def __init__(self, message: str, detail: str = "", retry_after: float = 5.0) -> None:
        super().__init__(message, detail)
        self.retry_after = retry_after


class RateLimitExceeded(TooManyRequests):
    """More requests a minute than the caller may send."""


class TooManyUploads(TooManyRequests):
    """More uploads, or more bytes, at once than the caller may send."""


class InsufficientStorage(ServiceUnavailable):
    """The disk of the jobs is too full to accept another one."""


class UnknownJob(TranscriptionError):
    """There is no such job, or it has expired."""


class WrongJobState(TranscriptionError):
    """The job stands where what was asked for makes no sense."""


class IdempotencyConflict(TranscriptionError):
    """The idempotency key was used for another submission."""


class DamagedStore(TranscriptionError):
    """The database of the jobs cannot be read; the message names the remedy."""


class RepeatedlyInterrupted(TranscriptionError):
    """Process after process ended while it worked on this recording."""


class JobTookTooLong(TranscriptionError):
    """An attempt lasted longer than JOB_TIMEOUT."""


class RecordingLost(TranscriptionError):
    """The recording of a job is no longer where it was kept."""


class MissingApiKey(TranscriptionError):
    """The caller sent no API key where one is needed."""


class InvalidApiKey(TranscriptionError):
    """The caller's API key is nobody's."""


class UploadTooSlow(TranscriptionError):
    """The upload stalled, or came slower than MIN_UPLOAD_RATE."""


class TooManyHeaders(TranscriptionError):
    """The request has more headers than are read."""


class NotEnabled(TranscriptionError):
    """Part of the contract that this deployment has turned off."""
