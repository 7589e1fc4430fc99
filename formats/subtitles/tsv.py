"""Tab-separated values as OpenAI's whisper writes them: start, end (milliseconds), text."""

from __future__ import annotations

from formats.subtitles.layout import SubtitleLayout, laid_out
from transcription.core.transcript import Transcript

HEADER = "start\tend\ttext"


def render(transcript: Transcript, layout: SubtitleLayout | None = None) -> str:
    """A header line, then a line a cue."""
    lines = [HEADER, *(f"{cue.start}\t{cue.end}\t{cue.text}" for cue in laid_out(transcript, layout))]
    return "\n".join(lines) + "\n"
