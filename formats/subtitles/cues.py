"""Cues, the basis of every subtitle format: timed text in order, never overlapping, never empty."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from transcription.core.transcript import Transcript

MS_PER_SECOND = 1000
MS_PER_MINUTE = 60 * MS_PER_SECOND
MS_PER_HOUR = 60 * MS_PER_MINUTE

Naming = Callable[[str], str]  # how a format writes the name of a speaker before the text, with the space between them


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
    speaker: the name of who says all of it, as one line; "" if that is unknown.
    prefix: what is written before the text, in formats whose text names the speaker; ends with a space, or is "".
    """

    start: int
    end: int
    text: str
    words: tuple[CueWord, ...] = ()
    highlighted: int | None = None
    speaker: str = ""
    prefix: str = ""

    def on_screen(self, escape: Callable[[str], str]) -> str:
        """The text in its lines, the highlighted word underlined. escape: the format's escaping of plain text."""
        if not self.words:
            return escape(self.prefix + self.text)
        written = [escape(self.prefix)]
        for number, word in enumerate(self.words):
            text = f"<u>{escape(word.text)}</u>" if number == self.highlighted else escape(word.text)
            if number and word.line != self.words[number - 1].line:
                written.append("\n")
            elif number and word.spaced:
                written.append(" ")
            written.append(text)
        return "".join(written)


def cues(transcript: Transcript, naming: Naming | None = None) -> list[Cue]:
    """The segments of a transcript as cues, without the empty ones.

    A cue starts no earlier than the previous one ends and lasts at least 1 ms: players drop or misplace others.
    Speakers may speak at the same time: there, a cue starts with its segment, and the previous one ends.
    """
    found: list[Cue] = []
    for segment in transcript.segments:
        if text := one_line(segment.text):
            start, end = (round(time * MS_PER_SECOND) for time in (segment.start, segment.end))
            name = one_line(segment.speaker or "")
            found.append(Cue(start, end, text, speaker=name, prefix=naming(name) if naming and name else ""))
    return separated(found, 0) if transcript.speakers else list(_one_after_another(found))


def _one_after_another(found: Sequence[Cue]) -> Iterator[Cue]:
    previous_end = 0
    for cue in found:
        start = max(previous_end, cue.start)
        previous_end = max(start + 1, cue.end)
        yield replace(cue, start=start, end=previous_end)


def separated(found: Sequence[Cue], gap: int) -> list[Cue]:
    """The cues without overlaps and with `gap` between them, milliseconds. Each lasts at least 1 ms."""
    starts: list[int] = []
    for cue in found:
        starts.append(max(cue.start, starts[-1] + 1 if starts else 0))
    apart = []
    for cue, start, following in zip(found, starts, [*starts[1:], None][: len(found)], strict=True):
        end = max(start + 1, cue.end)
        if following is not None:
            end = min(end, max(start + 1, following - gap))
        apart.append(replace(cue, start=start, end=end))
    return apart


def one_line(text: str) -> str:
    """`text` with each run of white space, line breaks and control characters replaced by one space."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def clock(milliseconds: int, decimal_mark: str) -> str:
    """HH:MM:SS, `decimal_mark` and milliseconds. Hours grow past 99 rather than wrap."""
    hours, rest = divmod(milliseconds, MS_PER_HOUR)
    minutes, rest = divmod(rest, MS_PER_MINUTE)
    seconds, fraction = divmod(rest, MS_PER_SECOND)
    return f"{hours:02d}:{minutes:02d}:{seconds:02d}{decimal_mark}{fraction:03d}"
