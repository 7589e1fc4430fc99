"""What every subtitle format starts from: timed lines in order, never overlapping, never empty."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from transcription.core.transcript import Transcript

MS_PER_SECOND = 1000
MS_PER_MINUTE = 60 * MS_PER_SECOND
MS_PER_HOUR = 60 * MS_PER_MINUTE


@dataclass(frozen=True, slots=True)
class CueWord:
    """A word of a cue that was laid out. start <= end, milliseconds; line: which one it stands on, from 0.

    spaced: whether a space stands before it, unless it begins a line.
    """

    text: str
    start: int
    end: int
    spaced: bool
    line: int


@dataclass(frozen=True, slots=True)
class Cue:
    """What is on the screen at one time. start < end, milliseconds.

    text: all of it as one line, no surrounding space. words: of a cue that was laid out, else none.
    lit: index of the word that is underlined.
    """

    start: int
    end: int
    text: str
    words: tuple[CueWord, ...] = ()
    lit: int | None = None

    def on_screen(self, escape: Callable[[str], str]) -> str:
        """The text in its lines, the lit word underlined. escape: what the format does to plain text."""
        if not self.words:
            return escape(self.text)
        written: list[str] = []
        for number, word in enumerate(self.words):
            text = f"<u>{escape(word.text)}</u>" if number == self.lit else escape(word.text)
            if number and word.line != self.words[number - 1].line:
                written.append("\n")
            elif number and word.spaced:
                written.append(" ")
            written.append(text)
        return "".join(written)


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
