"""Tab-separated values as openai/whisper writes them: start and end in milliseconds, text."""

from __future__ import annotations

from formats.subtitles.layout import SubtitleLayout, lay_out
from transcription.core.transcript import Transcript

HEADER = "start\tend\ttext"


def render(transcript: Transcript, layout: SubtitleLayout | None = None) -> str:
    """A header line, then one line per cue."""
    lines = [HEADER, *(f"{cue.start}\t{cue.end}\t{cue.text}" for cue in lay_out(transcript, layout))]
    return "\n".join(lines) + "\n"
