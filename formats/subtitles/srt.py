"""SubRip (.srt): numbered cues, with a comma before the milliseconds."""

from __future__ import annotations

import re

from formats.subtitles.cues import Cue, clock
from formats.subtitles.layout import SubtitleLayout, frames, lay_out
from transcription.core.transcript import Transcript

# SRT has no escaping: an arrow in the text would be read as a timing line.
ARROW = re.compile(r"-{2,}>")


def render(transcript: Transcript, layout: SubtitleLayout | None = None) -> str:
    """An SRT file. An empty transcript gives an empty file, which players accept."""
    shown = (frame for cue in lay_out(transcript, layout, named) for frame in frames(cue, layout))
    return "\n".join(_block(number, cue) for number, cue in enumerate(shown, start=1))


def named(speaker: str) -> str:
    """The name of a speaker before the text of a cue."""
    return f"{speaker}: "


def _block(number: int, cue: Cue) -> str:
    return f"{number}\n{clock(cue.start, ',')} --> {clock(cue.end, ',')}\n{cue.on_screen(_escape)}\n"


def _escape(text: str) -> str:
    return ARROW.sub("->", text)
