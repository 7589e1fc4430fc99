"""The times of words after a text was corrected. A word that stayed keeps its time; others share the time between."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate

from transcription.core.transcript import Word
from transcription.jobs.transcripts.common_words import common_words

CERTAIN = 1.0  # the probability of a word that a person wrote

# Han, kana, Thai, Lao, Burmese and Khmer are written without spaces: each character may begin a word.
_UNSPACED = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3005-\u3007\u3040-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff"
    "\uf900-\ufaff\U00020000-\U0003ffff"
)
_UNIT = re.compile(rf"[{_UNSPACED}]|[^\s{_UNSPACED}]+")
_NOT_HEARD = re.compile(r"[\W_]+")


@dataclass(frozen=True, slots=True)
class Unit:
    """What is compared: a word with its punctuation, or one character of a script without spaces.

    key: equal for units that sound alike, as it is without case and punctuation. start, end: in the text.
    first: the number of characters before it in the text, without spaces. glued: no space is before it.
    """

    key: str
    start: int
    end: int
    first: int
    glued: bool

    @property
    def last(self) -> int:
        """The number of characters before its end in the text, without spaces."""
        return self.first + self.end - self.start


def units_of(text: str) -> list[Unit]:
    """The units of a text, in order."""
    units: list[Unit] = []
    before, first = 0, 0
    for match in _UNIT.finditer(text):
        start, end = match.span()
        key = _NOT_HEARD.sub("", match[0]).casefold() or match[0]
        units.append(Unit(key, start, end, first, glued=bool(units) and before == start))
        before, first = end, first + end - start
    return units


class Clock:
    """When each character of some words is spoken: they share the time of their word equally.

    Characters are counted without spaces.
    """

    def __init__(self, words: Sequence[Word]) -> None:
        self.words = words
        lengths = [len("".join(word.text.split())) for word in words]
        self._word_of = [index for index, length in enumerate(lengths) for _ in range(length)]
        self._begin = [0, *accumulate(lengths)]

    def word_of(self, character: int) -> int:
        """The index of the word that this character is in."""
        return self._word_of[character]

    def start(self, character: int) -> float:
        """When this character begins, seconds."""
        return self._time(self._word_of[character], character)

    def end(self, character: int) -> float:
        """When the character before this one ends, seconds."""
        return self._time(self._word_of[character - 1], character)

    def _time(self, index: int, character: int) -> float:
        word, begin, end = self.words[index], self._begin[index], self._begin[index + 1]
        if character == end:
            return word.end
        return word.start + (word.end - word.start) * (character - begin) / (end - begin)


def retimed(text: str, start: float, end: float, before: Sequence[Word], units: Sequence[Unit]) -> tuple[Word, ...]:
    """The words of a corrected text, each with the space before it.

    start, end: of its segment, seconds; no word is outside. before: the words that were spoken there, in order. A word
    that is among them keeps its time and probability, even if its case or punctuation has changed. Others get the time
    of the words that they replace, or the pause in which they were inserted. units: of the text.
    """
    comparison = _Comparison(units, before)
    words: list[Word] = []
    place, earliest = 0, start
    for first, last in comparison.groups():
        kept = comparison.kept(first, last)
        begin, finish, probability = kept or (*comparison.room(first, last, start, end), CERTAIN)
        begin = min(max(begin, earliest), end)
        finish = earliest = min(max(finish, begin), end)
        parts = [(first, last)] if kept else list(_words(units, first, last))
        solid = units[last - 1].last - units[first].first
        for begins, ends in parts:
            times = [  # rounded, the last one may be later than `finish`
                min(finish, begin + (finish - begin) * (characters - units[first].first) / solid)
                for characters in (units[begins].first, units[ends - 1].last)
            ]
            words.append(Word(text[place : units[ends - 1].end], times[0], times[1], probability))
            place = units[ends - 1].end
    return tuple(words)


class _Comparison:
    """The units of a text, compared with the words that were there before."""

    def __init__(self, units: Sequence[Unit], before: Sequence[Word]) -> None:
        self._units = units
        self._clock = Clock(before)
        self._old = units_of("".join(word.text for word in before))
        pairs = common_words([unit.key for unit in self._old], [unit.key for unit in units])
        self._same = {new: self._old[old] for old, new in pairs}
        self._place = {new: old for old, new in pairs}

    def groups(self) -> Iterator[tuple[int, int]]:
        """The units as ranges: each is the rest of one former word, or new."""
        first = 0
        for number in range(1, len(self._units) + 1):
            if number == len(self._units) or not self._belong_together(number):
                yield first, number
                first = number

    def kept(self, first: int, last: int) -> tuple[float, float, float] | None:
        """Start, end and probability of a range that was there before."""
        if first not in self._same:
            return None
        begins, ends = self._same[first], self._same[last - 1]
        word = self._clock.words[self._clock.word_of(begins.first)]
        return self._clock.start(begins.first), self._clock.end(ends.last), word.probability

    def room(self, first: int, last: int, start: float, end: float) -> tuple[float, float]:
        """The time for a new range: that of the words it replaces or, if there are none, the pause that it is in."""
        after = self._place[first - 1] if first else -1
        until = self._place[last] if last < len(self._units) else len(self._old)
        replaced = self._old[after + 1 : until]
        if replaced:
            return self._clock.start(replaced[0].first), self._clock.end(replaced[-1].last)
        begin = self._clock.end(self._old[after].last) if after >= 0 else start
        return begin, self._clock.start(self._old[until].first) if until < len(self._old) else end

    def _belong_together(self, number: int) -> bool:
        """Whether this unit and the one before are in the same range."""
        before, unit = self._same.get(number - 1), self._same.get(number)
        if before is None or unit is None:
            return before is unit
        follows = self._units[number].glued and self._place[number] == self._place[number - 1] + 1
        return follows and self._clock.word_of(before.last - 1) == self._clock.word_of(unit.first)


def _words(units: Sequence[Unit], first: int, last: int) -> Iterator[tuple[int, int]]:
    """The range, cut where spaces are."""
    for number in range(first + 1, last + 1):
        if number == last or not units[number].glued:
            yield first, number
            first = number
