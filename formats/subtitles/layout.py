"""Subtitles laid out as the caller wants them: how long a line, how many lines, how long a cue."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

from formats.subtitles.breaks import Limits, Line, Timed, broken
from formats.subtitles.cues import MS_PER_SECOND, Cue, CueWord, cues, one_line
from formats.subtitles.phrases import pieces, width
from transcription.core.transcript import Segment, Transcript

Said = tuple[str, float, float]  # text, start, end

SHORTEST_WORD = 0.02  # seconds, one step of Whisper's clock
LINES = 2  # where lines have a width and nobody says how many; what Netflix and the BBC allow


@dataclass(frozen=True, slots=True)
class SubtitleLayout:
    """How subtitles look. None is no limit.

    max_line_width: characters in a line, spaces and punctuation included; a full-width character counts as one, a
        combining mark as none.
    max_line_count: lines in a cue; LINES unless given where a line has a width, else 1.
    max_words_per_line: words in a line; in text without spaces each character is a word.
    max_cue_duration: seconds that a cue lasts.
    min_gap: seconds between the end of a cue and the start of the next.
    highlight_words: a cue for each word, in which that word is underlined.
    max_chars_per_second: characters of a cue for each second it is shown; faster ones are reported, not changed.
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
        """Whether a segment may become several lines or cues."""
        return any((self.max_line_width, self.max_words_per_line, self.max_cue_duration))

    @property
    def needs_words(self) -> bool:
        """Whether it is better, or only possible, with times of words."""
        return self.breaks or self.highlight_words

    def one_line(self) -> SubtitleLayout:
        """The same for formats whose cues are one line of plain text."""
        return replace(self, max_line_count=1, highlight_words=False)


def laid_out(transcript: Transcript, layout: SubtitleLayout | None) -> list[Cue]:
    """The cues of a transcript. Without a layout: `cues`, a line a segment.

    A cue never spans two segments. Starts grow; a cue ends before the next begins, `min_gap` earlier where that leaves
    it 1 ms at least. Words have the times of `Segment.words`; where there are none, or not those of the text, the
    segment's time is shared out by characters.
    """
    if layout is None:
        return list(cues(transcript))
    return _separated(list(_cues(transcript, layout)), round(layout.min_gap * MS_PER_SECOND))


def is_fast(cue: Cue, layout: SubtitleLayout | None) -> bool:
    """Whether a cue has more characters a second than the layout wants."""
    limit = layout.max_chars_per_second if layout else None
    return limit is not None and characters_per_second(cue) > limit


def characters_per_second(cue: Cue) -> float:
    """Reading speed; a line break counts as the space that it replaces."""
    return width(cue.text) * MS_PER_SECOND / (cue.end - cue.start)


def frames(cue: Cue, layout: SubtitleLayout | None) -> Iterator[Cue]:
    """The cue itself, or with `highlight_words` one for each of its words, and one without a mark for each pause."""
    if layout is None or not layout.highlight_words:
        yield cue
        return
    time = cue.start
    for number, word in enumerate(cue.words):
        latest = cue.end - (len(cue.words) - 1 - number)  # the aligner gives some words no time: each has 1 ms
        start = max(time, min(word.start, latest - 1))
        end = min(max(start + 1, min(word.end, latest)), cue.end)
        if start >= cue.end:
            return  # a cue of fewer milliseconds than words
        if start > time:
            yield replace(cue, start=time, end=start)
        yield replace(cue, start=start, end=end, lit=number)
        time = end
    if time < cue.end:
        yield replace(cue, start=time)


def has_words(transcript: Transcript) -> bool:
    """Whether every segment that says something knows when each word was said."""
    return all(segment.words for segment in transcript.segments if segment.text.strip())


def _cues(transcript: Transcript, layout: SubtitleLayout) -> Iterator[Cue]:
    limits = _limits(layout)
    for segment in transcript.segments:
        parts = timed(segment)
        laid = broken(parts, limits)
        for lines in laid:
            start, end = lines[0][0].start, lines[-1][-1].end
            if len(laid) == 1 and layout.max_cue_duration is None:  # as the model cut it
                start, end = _milliseconds(segment.start), _milliseconds(segment.end)
            yield _cue(lines, start, end)


def _limits(layout: SubtitleLayout) -> Limits:
    lines = layout.max_line_count or (LINES if layout.max_line_width else 1)
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


def timed(segment: Segment) -> list[Timed]:
    """The pieces of a segment's text in order, and when each is said: never earlier than the one before."""
    parts = pieces(one_line(segment.text))
    clocks = _character_times(segment, "".join(part.text for part in parts))
    found: list[Timed] = []
    place, earliest = 0, 0
    for part in parts:
        start = max(earliest, clocks[place][0])
        place += len(part.text)
        end = max(start, clocks[place - 1][1])
        found.append(Timed(part, start, end))
        earliest = end
    return found


def _character_times(segment: Segment, text: str) -> list[tuple[int, int]]:
    """Start and end of each character of `text`, which has no spaces, milliseconds."""
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


def _with_time(spoken: list[Said]) -> list[Said]:
    """The same text; a word that the aligner gave no time is one with its nearer neighbour, and shares its time."""
    shared: list[Said] = []
    waiting: Said | None = None
    for place, (text, start, end) in enumerate(spoken):
        if waiting:
            text, start, waiting = waiting[0] + text, waiting[1], None
        if end - start >= SHORTEST_WORD:
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


def _separated(laid: list[Cue], gap: int) -> list[Cue]:
    """The cues in order, none longer than before beside the 1 ms that each lasts at least."""
    starts: list[int] = []
    for cue in laid:
        starts.append(max(cue.start, starts[-1] + 1 if starts else 0))
    separated = []
    for cue, start, following in zip(laid, starts, [*starts[1:], None][: len(laid)], strict=True):
        end = max(start + 1, cue.end)
        if following is not None:
            end = min(end, max(start + 1, following - gap))
        separated.append(replace(cue, start=start, end=end))
    return separated


def _milliseconds(seconds: float) -> int:
    return round(seconds * MS_PER_SECOND)
