"""The format `text`."""

from __future__ import annotations

from transcription.core.transcript import Transcript


def render(transcript: Transcript) -> str:
    """The text on one line; an empty file when there is no speech."""
    return f"{transcript.text}\n" if transcript.text else ""
