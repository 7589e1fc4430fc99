"""Plain text."""

from __future__ import annotations

from transcription.core.transcript import Transcript


def render(transcript: Transcript) -> str:
    """The words alone, one line; empty when nobody spoke."""
    return f"{transcript.text}\n" if transcript.text else ""
