"""Why a device does not decode a window, as errors for its caller."""

from __future__ import annotations

from runners.client.interface import RESTART_SECONDS
from transcription.core.errors import ServiceUnavailable


def stopping() -> ServiceUnavailable:
    """The process is about to end."""
    return ServiceUnavailable("The service is stopping. Try again in a moment.")


def being_replaced() -> ServiceUnavailable:
    """A batch has not ended within its deadline."""
    return ServiceUnavailable(
        "The model did not answer in time; its process is being replaced. Try again in a moment.",
        retry_after=RESTART_SECONDS,
    )
