"""SubRip (.srt): numbered cues, comma before the milliseconds."""

from __future__ import annotations

import re

from formats.cues import Cue, clock, cues
from transcript import Transcript

# SRT has no escape: an arrow inside the text would read as a timing line.
ARROW = re.compile(r"-{2,}>")


def render(transcript: Transcript) -> str:
    """An SRT file; an empty transcript is an empty file, which players accept."""
    return "\n".join(_block(number, cue) for number, cue in enumerate(cues(transcript), start=1))


def _block(number: int, cue: Cue) -> str:
    text = ARROW.sub("->", cue.text)
    return f"{number}\n{clock(cue.start, ',')} --> {clock(cue.end, ',')}\n{text}\n"
