"""A transcript with corrected segments. What was not changed stays exactly as it was, down to the times of words."""

from __future__ import annotations

import unicodedata
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from transcription.core.errors import InvalidParameter
from transcription.core.speakers import MAX_SPEAKERS, Speaker
from transcription.core.transcript import Segment, Transcript, Word
from transcription.jobs.transcripts.retiming import CERTAIN, retimed, units_of
from transcription.pipeline.speakers import checked_name, follow, spoken_by

TIME_DIGITS = 2  # of times in JSON, by which segments and words are recognised
TOLERANCE = 0.05  # seconds by which times may be outside of what they belong to: they were rounded
# Former words that are compared with a text, for each of its words and in addition: more are those of other segments,
# which overlap this one.
MOST_FORMER, MORE_FORMER = 4, 200
NOT_IN_TEXT = frozenset({"Cc", "Cs"})  # controls, and halves of surrogate pairs
MOST_PAIRS = 50_000_000  # of words that are compared in a transcript; less than a second of work


@dataclass(frozen=True, slots=True)
class EditedWord:
    """A word of a corrected segment. start, end: seconds. probability: 0..1, None if a person wrote it."""

    text: str
    start: float
    end: float
    probability: float | None = None


@dataclass(frozen=True, slots=True)
class EditedSegment:
    """A segment as a client sends it. start, end: seconds.

    speaker: the name of who speaks, "" for no one known, None to keep who was known to speak there. words: None to keep
    the times of words that did not change.
    """

    start: float
    end: float
    text: str
    speaker: str | None = None
    words: tuple[EditedWord, ...] | None = None


def corrected(before: Transcript, edited: Sequence[EditedSegment]) -> Transcript:
    """The transcript with these segments instead of its own.

    The decoder's figures of a segment are those of the segment that was there. Raises InvalidParameter, with the number
    of the segment, counted from 0, on times out of order or outside of the recording, on a text that is empty, on words
    that are not those of the text, and on a name that no speaker can have.
    """
    former = _Former(before)
    _check_order(edited)
    segments: list[Segment] = []
    places: list[list[int]] = [[] for _ in before.segments]
    for number, edit in enumerate(edited):
        try:
            segment, place = former.corrected(edit)
        except InvalidParameter as error:
            raise InvalidParameter(f"Segment {number}: {error.message}") from None
        if place is not None:
            places[place].append(number)
        segments.append(segment)
    return replace(
        before,
        segments=tuple(segments),
        word_timestamps=before.word_timestamps or any(edit.words for edit in edited),
        warnings=tuple(follow(before.warnings, places, segments)),
        speakers=_speakers(before, segments),
    )


def _check_order(edited: Sequence[EditedSegment]) -> None:
    for number, (one, other) in enumerate(pairwise(edited), start=1):
        if other.start < one.start:
            raise InvalidParameter(
                f"Segment {number} starts at {other.start:g} s, before segment {number - 1} does ({one.start:g} s). "
                "Send segments in the order in which they start."
            )


class _Former:
    """The segments and words of the transcript before its correction."""

    def __init__(self, before: Transcript) -> None:
        self._segments = before.segments
        self._duration = before.duration
        self._has_words = any(segment.words for segment in before.segments)
        # Text without spaces between words, such as Chinese, has none between segments either.
        self._space = "" if before.segments and not any(each.text[:1].isspace() for each in before.segments) else " "
        self._starts = [segment.start for segment in before.segments]
        self._same: dict[tuple[float, float, str], list[int]] = defaultdict(list)
        for place in reversed(range(len(before.segments))):
            segment = before.segments[place]
            self._same[_rounded(segment.start), _rounded(segment.end), _plain(segment.text)].append(place)
        self._words = sorted(
            (((word.start + word.end) / 2, place, word) for place, word in enumerate(before.words)),
            key=lambda each: each[:2],
        )
        self._middles = [middle for middle, _, _ in self._words]
        self._pairs = 0

    def corrected(self, edit: EditedSegment) -> tuple[Segment, int | None]:
        """The segment, and the place of the former one if its text is the same. Raises InvalidParameter."""
        text = _checked_text(edit.text)
        start, end = self._times(edit)
        same = self._same.get((_rounded(edit.start), _rounded(edit.end), text))
        place = same.pop() if same else None
        if place is not None and (edit.words is None or _are_equal(edit.words, self._segments[place].words)):
            segment = self._segments[place]
            return _named(segment, segment.speaker if edit.speaker is None else edit.speaker), place
        if not text:
            raise InvalidParameter("It has no text. Leave the segment out.")
        origin = self._at((start + end) / 2) if place is None else self._segments[place]
        start, end = _exact(start, end, origin)
        spaced = self._space + text
        words = self._retimed(spaced, start, end) if edit.words is None else _given(spaced, start, end, edit.words)
        if origin is None:
            segment = Segment(start, end, spaced, (), 0.0, 1.0, 0.0, 0.0, round(start * 100), words)
        else:
            segment = replace(origin, start=start, end=end, text=spaced, tokens=(), words=words)
        return _named(segment, segment.speaker if edit.speaker is None else edit.speaker), place

    def _times(self, edit: EditedSegment) -> tuple[float, float]:
        if not 0 <= edit.start <= edit.end:
            raise InvalidParameter(f"It is from {edit.start:g} to {edit.end:g} s. It must not end before it starts.")
        if edit.end > self._duration + TOLERANCE:
            raise InvalidParameter(f"It ends at {edit.end:g} s, but the recording has {self._duration:.2f} s.")
        return min(edit.start, self._duration), min(edit.end, self._duration)

    def _at(self, time: float) -> Segment | None:
        """The former segment at this time; None if there was none."""
        place = bisect_right(self._starts, time) - 1
        return next(
            (each for each in reversed(self._segments[max(0, place - 1) : place + 1]) if each.end >= time), None
        )

    def _retimed(self, text: str, start: float, end: float) -> tuple[Word, ...]:
        """The words of the text; none if the transcript has no times of words."""
        if not self._has_words:
            return ()
        units = units_of(text)
        first, last = bisect_left(self._middles, start), bisect_right(self._middles, end)
        self._pairs += len(units) * (last - first)
        if last - first > MOST_FORMER * len(units) + MORE_FORMER or self._pairs > MOST_PAIRS:
            return retimed(text, start, end, (), units)
        former = sorted(self._words[first:last], key=lambda each: each[1])
        return retimed(text, start, end, [word for _, _, word in former], units)


def _exact(start: float, end: float, origin: Segment | None) -> tuple[float, float]:
    """The times before they were rounded, where they are those of the segment that was there."""
    if origin and _rounded(origin.start) == _rounded(start):
        start = origin.start
    if origin and _rounded(origin.end) == _rounded(end):
        end = origin.end
    return start, max(start, end)


def _given(text: str, start: float, end: float, words: Sequence[EditedWord]) -> tuple[Word, ...]:
    """The words that a client sent, each with the space before it. Raises InvalidParameter."""
    if "".join("".join(word.text.split()) for word in words) != "".join(text.split()):
        raise InvalidParameter("Its words are not those of its text. Correct them, or leave 'words' out.")
    placed: list[Word] = []
    place, earliest = 0, start
    for number, word in enumerate(words):
        if not (earliest - TOLERANCE <= word.start <= word.end <= end + TOLERANCE):
            raise InvalidParameter(
                f"Word {number} is from {word.start:g} to {word.end:g} s. Words must be in order, and inside of their "
                f"segment, {start:g} to {end:g} s."
            )
        after = _after(text, place, len("".join(word.text.split())))
        begin = min(max(word.start, earliest), end)
        finish = min(max(word.end, begin), end)
        probability = CERTAIN if word.probability is None else word.probability
        placed.append(Word(text[place:after], begin, finish, probability))
        place, earliest = after, begin
    return tuple(placed)


def _after(text: str, place: int, characters: int) -> int:
    """The place in the text after so many more characters that are not spaces."""
    while characters:
        characters -= not text[place].isspace()
        place += 1
    return place


def _are_equal(given: Sequence[EditedWord], words: Sequence[Word]) -> bool:
    return [(_rounded(each.start), _rounded(each.end), each.text.strip()) for each in given] == [
        (_rounded(each.start), _rounded(each.end), each.text.strip()) for each in words
    ]


def _named(segment: Segment, speaker: str | None) -> Segment:
    """The segment with this speaker; "" for none. Raises InvalidParameter."""
    if speaker:
        return spoken_by(segment, checked_name(speaker))
    return replace(segment, speaker=None, words=tuple(replace(word, speaker=None) for word in segment.words))


def _speakers(before: Transcript, segments: Iterable[Segment]) -> tuple[Speaker, ...]:
    """The speakers of the segments. Their seconds are as before unless someone else speaks, or at another time."""
    if _speech(segments := list(segments)) == _speech(before.segments):
        return before.speakers
    seconds: dict[str, float] = defaultdict(float)
    for segment in segments:
        if segment.speaker is not None:
            seconds[segment.speaker] += segment.end - segment.start
    if len(seconds) > MAX_SPEAKERS:
        raise InvalidParameter(f"The segments have {len(seconds)} speakers. Send at most {MAX_SPEAKERS}.")
    total = sum(seconds.values())
    return tuple(Speaker(label, spoken, spoken / total if total else 0.0) for label, spoken in seconds.items())


def _speech(segments: Iterable[Segment]) -> list[tuple[str, float, float]]:
    """Who speaks when."""
    return [(each.speaker, each.start, each.end) for each in segments if each.speaker is not None]


def _rounded(time: float) -> float:
    return round(time, TIME_DIGITS)


def _checked_text(text: str) -> str:
    """As `_plain`. Raises InvalidParameter."""
    plain = _plain(text)
    if any(unicodedata.category(character) in NOT_IN_TEXT for character in plain):
        raise InvalidParameter("Its text has control characters. Send it without them.")
    return plain


def _plain(text: str) -> str:
    """The text with single spaces, and none around it."""
    return " ".join(text.split())
