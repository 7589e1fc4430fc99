"""What every subtitle format starts from: timed lines in order, never overlapping, never empty."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from transcript import Transcript

MS_PER_SECOND = 1000
MS_PER_MINUTE = 60 * MS_PER_SECOND
MS_PER_HOUR = 60 * MS_PER_MINUTE


@dataclass(frozen=True, slots=True)
class Cue:
    """One line on the screen. start < end, milliseconds; text: one line, no surrounding space."""

    start: int
    end: int
    text: str


def cues(transcript: Transcript) -> Iterator[Cue]:
    """The transcript's segments as cues.

    A cue starts no earlier than the one before it ended and lasts at least 1 ms: players drop or misplace others.
    """
    previous_end = 0
    for segment in transcript.segments:
        text = one_line(segment.text)
        if not text:
            continue
        start = max(previous_end, round(segment.start * MS_PER_SECOND))
        end = max(start + 1, round(segment.end * MS_PER_SECOND))
        yield Cue(start, end, text)
        previous_end = end


def one_line(text: str) -> str:
    """`text` with every run of white space, line breaks and control characters included, as one space."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def clock(milliseconds: int, decimal_mark: str) -> str:
    """HH:MM:SS plus milliseconds after `decimal_mark`; hours grow past 99 rather than wrap."""
    hours, rest = divmod(milliseconds, MS_PER_HOUR)
    minutes, rest = divmod(rest, MS_PER_MINUTE)
    seconds, fraction = divmod(rest, MS_PER_SECOND)
    return f"{hours:02d}:{minutes:02d}:{seconds:02d}{decimal_mark}{fraction:03d}"
