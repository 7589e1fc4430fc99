"""LRC lyrics: [mm:ss.xx] before each line. Minutes grow past 59, as the format has no hours."""

from __future__ import annotations

from formats.subtitles.cues import MS_PER_MINUTE
from formats.subtitles.layout import SubtitleLayout, lay_out
from transcription.core.transcript import Transcript

MS_PER_CENTISECOND = 10
NOT_IN_TAGS = str.maketrans("[]:", "().")


def render(transcript: Transcript, layout: SubtitleLayout | None = None) -> str:
    """One line per cue, and an empty line at the end of the last one, so that players clear it."""
    lines = [(cue.start, cue.end, cue.prefix + cue.text) for cue in lay_out(transcript, layout, named)]
    if not lines:
        return ""
    stamped = [f"{_stamp(start)}{text}" for start, _, text in lines]
    return "\n".join([*stamped, _stamp(lines[-1][1])]) + "\n"


def named(speaker: str) -> str:
    """The name of a speaker before the text of a line. Brackets and colons would make it look like a timestamp."""
    return f"[{speaker.translate(NOT_IN_TAGS)}] "


def _stamp(milliseconds: int) -> str:
    minutes, rest = divmod(milliseconds, MS_PER_MINUTE)
    seconds, fraction = divmod(rest, 1000)
    return f"[{minutes:02d}:{seconds:02d}.{fraction // MS_PER_CENTISECOND:02d}]"
