"""Tab-separated values as OpenAI's whisper writes them: start, end (milliseconds), text."""

from __future__ import annotations

from formats.cues import cues
from transcript import Transcript

HEADER = "start\tend\ttext"


def render(transcript: Transcript) -> str:
    """A header line, then a line a cue."""
    lines = [HEADER, *(f"{cue.start}\t{cue.end}\t{cue.text}" for cue in cues(transcript))]
    return "\n".join(lines) + "\n"
