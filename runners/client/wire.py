"""What travels between the API's process and the runner's beside the types of `transcript.py`.

BentoML turns every exception of a dependency into its own, without the message, so that errors travel as values.
"""

from __future__ import annotations

from dataclasses import dataclass

from transcription.core.errors import (
    InvalidParameter,
    ModelUnavailable,
    RefusedWindow,
    ServiceUnavailable,
    TranscriptionError,
    UnknownModel,
)
from transcription.core.transcript import WindowResult

# What a runner may answer, by the name under which it travels.
KINDS: dict[str, type[TranscriptionError]] = {
    kind.__name__: kind
    for kind in (UnknownModel, InvalidParameter, ModelUnavailable, RefusedWindow, ServiceUnavailable)
}


@dataclass(frozen=True, slots=True)
class Failure:
    """A domain error. kind: a key of KINDS, or "" for one that is not expected. retry_after: seconds."""

    kind: str
    message: str
    detail: str = ""
    retry_after: float = 0.0


@dataclass(frozen=True, slots=True)
class Reply:
    """Either a result or why there is none."""

    result: WindowResult | None = None
    failure: Failure | None = None

    def unpack(self) -> WindowResult:
        """The result. Raises the failure as the domain error that it was."""
        if self.result is not None:
            return self.result
        raise as_error(self.failure or Failure("", "The runner answered nothing."))


def as_failure(error: TranscriptionError) -> Failure:
    """A domain error as a value."""
    kind = type(error).__name__
    retry_after = error.retry_after if isinstance(error, ServiceUnavailable) else 0.0
    return Failure(kind if kind in KINDS else "", error.message, error.detail, retry_after)


def as_error(failure: Failure) -> TranscriptionError:
    """The domain error that `as_failure` was given."""
    kind = KINDS.get(failure.kind, TranscriptionError)
    if kind is ServiceUnavailable:
        return ServiceUnavailable(failure.message, failure.detail, failure.retry_after)
    return kind(failure.message, failure.detail)
