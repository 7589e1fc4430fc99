"""A runner's answer across the process border: a result or a failure.

BentoML replaces every exception of a dependency by one of its own, without the message, so errors travel as values.
"""

from __future__ import annotations

from dataclasses import dataclass

from transcription.core.errors import Failure, TranscriptionError, as_error
from transcription.core.errors import as_failure as as_failure
from transcription.core.transcript import WindowResult


@dataclass(frozen=True, slots=True)
class Reply:
    """Exactly one of the two is set."""

    result: WindowResult | None = None
    failure: Failure | None = None

    def unpack(self) -> WindowResult:
        """The result. Raises the failure as the domain error that it was."""
        if self.result is not None:
            return self.result
        raise as_error(self.failure or Failure(TranscriptionError.code, "The runner sent an empty reply."))
