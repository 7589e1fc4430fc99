"""Cues, which every subtitle format is written from: timed text in order, never overlapping, never empty."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from transcription.core.transcript import Transcript

MS_PER_SECOND = 1000
MS_PER_MINUTE = 60 * MS_PER_SECOND
MS_PER_HOUR = 60 * MS_PER_MINUTE


@dataclass(frozen=True, slots=True)
class CueWord:
    """A word of a cue that was laid out.

    start, end: milliseconds, start <= end. line: index of its line within the cue.
    spaced: whether a space precedes it, unless it begins a line.
    """

    text: str
    start: int
    end: int
    spaced: bool
    line: int


@dataclass(frozen=True, slots=True)
class Cue:
    """Text shown on the screen from start to end, milliseconds, start < end.

    text: the whole text as one line, without surrounding space. words: empty unless the cue was laid out.
    highlighted: index of the word that is underlined.
    """

    start: int
    end: int
    text: str
    words: tuple[CueWord, ...] = ()
    highlighted: int | None = None

    def on_screen(self, escape: Callable[[str], str]) -> str:
        """The text in its lines, the highlighted word underlined. escape: the format's escaping of plain text."""
        if not self.words:
            return escape(self.text)
        written: list[str] = []
        for number, word in enumerate(self.words):
            text = f"<u>{escape(word.text)}</u>" if number == self.highlighted else escape(word.text)
            if number and word.line != self.words[number - 1].line:
                written.append("\n")
            elif number and word.spaced:
                written.append(" ")
            written.append(text)
        return "".join(written)


def cues(transcript: Transcript) -> Iterator[Cue]:
    """The segments of a transcript as cues, without the empty ones.

    A cue starts no earlier than the previous one ends and lasts at least 1 ms: players drop or misplace others.
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
    """`text` with each run of white space, line breaks and control characters replaced by one space."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def clock(milliseconds: int, decimal_mark: str) -> str:
    """HH:MM:SS, `decimal_mark` and milliseconds. Hours grow past 99 rather than wrap."""
    hours, rest = divmod(milliseconds, MS_PER_HOUR)
    minutes, rest = divmod(rest, MS_PER_MINUTE)
    seconds, fraction = divmod(rest, MS_PER_SECOND)
    return f"{hours:02d}:{minutes:02d}:{seconds:02d}{decimal_mark}{fraction:03d}"
