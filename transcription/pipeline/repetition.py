"""Finds phrases that occur too often in a row, unless a voice repeats as often.

A decoder that is stuck writes one phrase until its last token. People repeat themselves as well, with pauses, and then
there are as many stretches of voice of about the same length.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

import numpy as np

from transcription.core.audio import SAMPLE_RATE, Span
from transcription.core.transcript import Segment
from transcription.media.voice_activity import PAUSE_SAMPLES

# Number of times that a phrase may occur in a row, by its number of words; longer phrases as the last. Further repeats
# are surplus. People say "no" eight times and sing a line four times; a stuck decoder continues to its 224th token.
MOST_REPEATS = {1: 8, 2: 5, 3: 4}
# Words of the longest phrase considered: two lines of a song. Loops of the decoder are a sentence at most, and text
# that repeats after a longer time (prayers, jingles) is rarely a loop.
LONGEST_PHRASE = 20

# A person takes up to a third more or less time for the same sentence. Stretches of unrelated speech differ more.
MOST_DEVIATION = 1.5
WORD_SECONDS = (0.08, 1.0)  # a word of the phrase takes at least and at most as long
# Share of the repeats that may take any time, at least one of them: the last one of a recording is often cut short.
MOST_ODD = 0.1
# The decoder omits a repeat now and then: the voice may repeat that many times more often, of the number in the text.
MOST_OMITTED = 0.25

# Scripts without spaces between words: Thai to Burmese, Khmer, kana, Han. Each character counts as a word.
UNSPACED = re.compile(r"([\u0e00-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff])")
NOT_IN_WORDS = frozenset("PSZC")  # Unicode categories: punctuation, symbols, separators, control characters


@dataclass(frozen=True, slots=True)
class Repetition:
    """A phrase that occurs too often in a row. start, end: of all its repeats, in words. length: of the phrase."""

    start: int
    end: int
    length: int

    @property
    def surplus(self) -> slice:
        """The words that should not be there."""
        return slice(self.start + self.length * MOST_REPEATS.get(self.length, MOST_REPEATS[3]), self.end)

    @property
    def times(self) -> int:
        """The number of complete repeats."""
        return (self.end - self.start) // self.length

    @property
    def last(self) -> slice:
        """The words of the last complete repeat."""
        end = self.start + self.times * self.length
        return slice(end - self.length, end)


def surplus_shares(segments: Sequence[Segment], voice: Sequence[Span] | None) -> list[float]:
    """The share of surplus words in each segment, 0 to 1.

    The words of all segments are one stream: a loop may be part of a segment, fill several, or cross their boundaries.
    segments: in file time. voice: where a voice is, without the pauses, in order, in samples of the file; None if
    unknown.
    """
    texts = [words_of(segment.text) for segment in segments]
    edges = np.cumsum([0, *(len(words) for words in texts)])
    starts, ends = word_times(segments, [len(words) for words in texts])
    surplus, said = np.zeros((2, edges[-1]), np.bool_)
    for repetition in repetitions([word for words in texts for word in words]):
        repeats = slice(repetition.start, repetition.end)
        if said[repeats].all():  # "no" eight times is also "no no" four times
            continue
        last = repetition.last
        cut_off = ends[last.stop - 1] - starts[last.start] < repetition.length * WORD_SECONDS[0]
        under_it = between(voice or (), starts[repetition.start], ends[repetition.end - 1])
        if voice and is_said(repetition, under_it, cut_off):
            said[repeats] = True
        else:
            surplus[repetition.surplus] = True
    return [float(surplus[first:last].mean()) if first < last else 0.0 for first, last in pairwise(edges)]


def words_of(text: str) -> list[str]:
    """The words without case and punctuation, so that "No, no. NO!" is one word three times."""
    letters = "".join(" " if unicodedata.category(c)[0] in NOT_IN_WORDS else c for c in text.casefold())
    return UNSPACED.sub(r" \1 ", letters).split()


def word_times(segments: Sequence[Segment], counts: Sequence[int]) -> tuple[list[float], list[float]]:
    """Starts and ends of all words, in seconds, as if the words of a segment took equally long.

    counts: words in each segment.
    """
    # Not the times of the words themselves: whether they were asked for must not change the text.
    edges = [
        np.linspace(segment.start, segment.end, count + 1).tolist()
        for segment, count in zip(segments, counts, strict=True)
    ]
    return [time for each in edges for time in each[:-1]], [time for each in edges for time in each[1:]]


def repetitions(words: Sequence[str]) -> Iterator[Repetition]:
    """Phrases of up to LONGEST_PHRASE words that occur more than MOST_REPEATS times in a row, the shortest first."""
    numbers = {word: number for number, word in enumerate(dict.fromkeys(words))}
    stream = np.array([numbers[word] for word in words], np.int64)
    for length in range(1, LONGEST_PHRASE + 1):
        again = np.concatenate(([False], stream[length:] == stream[:-length], [False]))
        changes = np.flatnonzero(again[1:] != again[:-1])
        for first, last in changes.reshape(-1, 2):  # the word at `first` occurs again `length` words later
            found = Repetition(int(first), int(last) + length, length)
            if found.surplus.start < found.end:
                yield found


def between(voice: Sequence[Span], start: float, end: float) -> list[Span]:
    """The spans whose middle lies between two times, in seconds."""
    return [span for span in voice if start <= (span.start + span.end) / 2 / SAMPLE_RATE < end]


def is_said(repetition: Repetition, voice: Sequence[Span], cut_off: bool) -> bool:
    """Whether the voice under a repetition repeats as often, with pauses, and takes about as long nearly each time.

    cut_off: the last repeat is shorter than it can be said. Too little of it may be left to count as a voice.
    """
    omitted = int(repetition.times * MOST_OMITTED)
    least, most = (seconds * repetition.length for seconds in WORD_SECONDS)
    for times in range(repetition.times - cut_off, repetition.times + omitted + 1):
        lengths = phrase_seconds(voice, times)
        usual = median(lengths) if lengths else 0.0
        alike = sum(usual / MOST_DEVIATION <= seconds <= usual * MOST_DEVIATION for seconds in lengths)
        if alike >= times - max(1, int(times * MOST_ODD)) and least <= usual <= most:
            return True
    return False


def phrase_seconds(voice: Sequence[Span], times: int) -> list[float]:
    """The durations of so many phrases, divided at the longest pauses; empty if there are too few pauses."""
    pauses = [after.start - before.end for before, after in pairwise(voice)]
    longest = sorted(range(len(pauses)), key=lambda index: -pauses[index])[: times - 1]
    if len(longest) < times - 1 or any(pauses[index] < PAUSE_SAMPLES for index in longest):
        return []
    cuts = sorted(longest)
    firsts, lasts = [0, *(cut + 1 for cut in cuts)], [*cuts, len(voice) - 1]
    return [
        (voice[last].end - voice[first].start) / SAMPLE_RATE for first, last in zip(firsts, lasts, strict=True) if voice
    ]
