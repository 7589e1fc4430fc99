"""The limit on the length of a live session."""

from __future__ import annotations

from transcription.core.errors import AudioTooLong
from transcription.core.settings import Settings


def check_length(seconds: float, settings: Settings) -> None:
    """seconds: of audio so far. Raises AudioTooLong beyond MAX_DURATION."""
    if seconds >= settings.max_duration:
        raise AudioTooLong(
            f"The session is longer than {settings.max_duration} s, the limit of this service. Its text is complete; "
            "start another one."
        )
