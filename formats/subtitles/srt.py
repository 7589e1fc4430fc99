"""SubRip (.srt): numbered cues, comma before the milliseconds."""

from __future__ import annotations

import re

from formats.subtitles.cues import Cue, clock
from formats.subtitles.layout import SubtitleLayout, frames, laid_out
from transcription.core.transcript import Transcript

# SRT has no escape: an arrow inside the text would read as a timing line.
ARROW = re.compile(r"-{2,}>")


def render(transcript: Transcript, layout: SubtitleLayout | None = None) -> str:
    """An SRT file; an empty transcript is an empty file, which players accept."""
    shown = (frame for cue in laid_out(transcript, layout) for frame in frames(cue, layout))
    return "\n".join(_block(number, cue) for number, cue in enumerate(shown, start=1))


def _block(number: int, cue: Cue) -> str:
    return f"{number}\n{clock(cue.start, ',')} --> {clock(cue.end, ',')}\n{cue.on_screen(_escape)}\n"


def _escape(text: str) -> str:
    return ARROW.sub("->", text)
