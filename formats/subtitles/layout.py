"""Subtitles within the limits of a layout: the width of a line, the lines and the duration of a cue."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

from formats.subtitles.breaks import Limits, Line, TimedPiece, break_into_cues
from formats.subtitles.cues import MS_PER_SECOND, Cue, CueWord, Naming, cues, one_line, separated
from formats.subtitles.phrases import pieces, width
from transcription.core.transcript import Segment, Transcript

SpokenText = tuple[str, float, float]  # text, start and end in seconds

MIN_WORD_SECONDS = 0.02  # the resolution of Whisper's timestamps
DEFAULT_LINES = 2  # of a cue whose lines have a width; the limit of Netflix and the BBC


@dataclass(frozen=True, slots=True)
class SubtitleLayout:
    """The limits of subtitles; None is no limit.

    max_line_width: characters per line, including spaces and punctuation. A full-width character counts as one, a
        combining mark as none.
    max_line_count: lines per cue. The default is DEFAULT_LINES if lines have a width, else 1.
    max_words_per_line: words per line. In text without spaces each character is a word.
    max_cue_duration: seconds.
    min_gap: seconds between the end of a cue and the start of the next.
    highlight_words: write one cue per word, in which that word is underlined.
    max_chars_per_second: reading speed. Faster cues are reported and not changed.
    """

    max_line_width: int | None = None
    max_line_count: int | None = None
    max_words_per_line: int | None = None
    max_cue_duration: float | None = None
    min_gap: float = 0.0
    highlight_words: bool = False
    max_chars_per_second: float | None = None

    @property
    def breaks(self) -> bool:
        """Whether a segment may be broken into several lines or cues."""
        return any((self.max_line_width, self.max_words_per_line, self.max_cue_duration))

    @property
    def needs_words(self) -> bool:
        """Whether word times improve the result, or are required for it."""
        return self.breaks or self.highlight_words

    def one_line(self) -> SubtitleLayout:
        """This layout for formats whose cues are one line of plain text."""
        return replace(self, max_line_count=1, highlight_words=False)


def lay_out(transcript: Transcript, layout: SubtitleLayout | None, naming: Naming | None = None) -> list[Cue]:
    """The cues of a transcript, in order. Without a layout, one line per segment: see `cues`.

    A cue never spans two segments. It ends before the next one starts, `min_gap` earlier if that leaves it at least
    1 ms. Words have the times of `Segment.words`. If those are missing or differ from the text, the segment's time is
    divided in proportion to the number of characters.
    naming: of the formats whose text names the speaker, in the first cue of each segment. The name is part of the
    line: it stays with the first word, and counts as its characters.
    """
    if layout is None:
        return cues(transcript, naming)
    return separated(list(_cues(transcript, layout, naming)), round(layout.min_gap * MS_PER_SECOND))


def is_fast(cue: Cue, layout: SubtitleLayout | None) -> bool:
    """Whether a cue exceeds the layout's reading speed."""
    limit = layout.max_chars_per_second if layout else None
    return limit is not None and characters_per_second(cue) > limit


def characters_per_second(cue: Cue) -> float:
    """The reading speed of a cue. A line break counts as the space that it replaces."""
    return width(cue.prefix + cue.text) * MS_PER_SECOND / (cue.end - cue.start)


def frames(cue: Cue, layout: SubtitleLayout | None) -> Iterator[Cue]:
    """The cue itself. With `highlight_words`, one cue per word, and one without a highlight for each pause."""
    if layout is None or not layout.highlight_words:
        yield cue
        return
    time = cue.start
    for number, word in enumerate(cue.words):
        latest = cue.end - (len(cue.words) - 1 - number)  # the aligner gives some words no duration: each gets 1 ms
        start = max(time, min(word.start, latest - 1))
        end = min(max(start + 1, min(word.end, latest)), cue.end)
        if start >= cue.end:
            return  # the cue has fewer milliseconds than words
        if start > time:
            yield replace(cue, start=time, end=start)
        yield replace(cue, start=start, end=end, highlighted=number)
        time = end
    if time < cue.end:
        yield replace(cue, start=time)


def has_word_times(transcript: Transcript) -> bool:
    """Whether every segment with text has the times of its words."""
    return all(segment.words for segment in transcript.segments if segment.text.strip())


def _cues(transcript: Transcript, layout: SubtitleLayout, naming: Naming | None) -> Iterator[Cue]:
    limits = _limits(layout)
    for segment in transcript.segments:
        speaker = one_line(segment.speaker or "")
        prefix = naming(speaker) if naming and speaker else ""
        laid = break_into_cues(_prefixed(timed_pieces(segment), prefix), limits)
        for number, lines in enumerate(laid):
            start, end = lines[0][0].start, lines[-1][-1].end
            if len(laid) == 1 and layout.max_cue_duration is None:  # the segment is one cue and keeps its times
                start, end = _milliseconds(segment.start), _milliseconds(segment.end)
            cue = replace(_cue(lines, start, end), speaker=speaker)
            yield _with_prefix(cue, prefix) if number == 0 and prefix else cue


def _prefixed(parts: list[TimedPiece], prefix: str) -> list[TimedPiece]:
    """The parts with the prefix in front of the first one, so that no line is broken between them."""
    if not parts or not prefix:
        return parts
    first = parts[0]
    return [replace(first, piece=replace(first.piece, text=prefix + first.piece.text)), *parts[1:]]


def _with_prefix(cue: Cue, prefix: str) -> Cue:
    """The cue whose first word begins with the prefix, with both apart: the word may be underlined."""
    first = replace(cue.words[0], text=cue.words[0].text.removeprefix(prefix))
    return replace(cue, text=cue.text.removeprefix(prefix), words=(first, *cue.words[1:]), prefix=prefix)


def _limits(layout: SubtitleLayout) -> Limits:
    lines = layout.max_line_count or (DEFAULT_LINES if layout.max_line_width else 1)
    duration = None if layout.max_cue_duration is None else _milliseconds(layout.max_cue_duration)
    return Limits(lines, layout.max_line_width, layout.max_words_per_line, duration)


def _cue(lines: tuple[Line, ...], start: int, end: int) -> Cue:
    words = tuple(
        CueWord(part.piece.text, part.start, part.end, spaced=part.piece.spaced, line=number)
        for number, line in enumerate(lines)
        for part in line
    )
    text = "".join(f" {word.text}" if word.spaced and place else word.text for place, word in enumerate(words))
    return Cue(start, end, text, words)


def timed_pieces(segment: Segment) -> list[TimedPiece]:
    """The pieces of a segment's text with their times, in order; none starts before the previous one ends."""
    parts = pieces(one_line(segment.text))
    clocks = _character_times(segment, "".join(part.text for part in parts))
    found: list[TimedPiece] = []
    place, earliest = 0, 0
    for part in parts:
        start = max(earliest, clocks[place][0])
        place += len(part.text)
        end = max(start, clocks[place - 1][1])
        found.append(TimedPiece(part, start, end))
        earliest = end
    return found


def _character_times(segment: Segment, text: str) -> list[tuple[int, int]]:
    """Start and end of each character of `text`, milliseconds. text: contains no spaces."""
    spoken = [(_solid(word.text), word.start, word.end) for word in segment.words]
    if "".join(said for said, _, _ in spoken) != text:
        spoken = [(text, segment.start, segment.end)]
    times = []
    for said, start, end in _with_time(spoken):
        step = max(0.0, end - start) / max(1, len(said))
        times += [
            (_milliseconds(start + place * step), _milliseconds(start + (place + 1) * step))
            for place in range(len(said))
        ]
    return times


def _with_time(spoken: list[SpokenText]) -> list[SpokenText]:
    """The same text. A word without a duration is merged with the nearer of its neighbours and shares its time."""
    shared: list[SpokenText] = []
    waiting: SpokenText | None = None
    for place, (text, start, end) in enumerate(spoken):
        if waiting:
            text, start, waiting = waiting[0] + text, waiting[1], None
        if end - start >= MIN_WORD_SECONDS:
            shared.append((text, start, end))
            continue
        after = spoken[place + 1][1] - end if place + 1 < len(spoken) else math.inf
        before = start - shared[-1][2] if shared else math.inf
        if before < after or math.isinf(after):
            text, start = (shared[-1][0] + text, shared.pop()[1]) if shared else (text, start)
            shared.append((text, start, end))
        else:
            waiting = (text, start, end)
    return shared


def _solid(text: str) -> str:
    return one_line(text).replace(" ", "")


def _milliseconds(seconds: float) -> int:
    return round(seconds * MS_PER_SECOND)
