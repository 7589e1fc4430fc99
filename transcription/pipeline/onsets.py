"""Moves the times of segments and words to where the voice starts and ends.

Whisper's times are loose beside a pause: a segment starts anywhere in the pause before it, and the alignment of words
counts a pause as part of the word after it. Voice activity detection is exact to a few hundredths of a second there.
It says nothing about a boundary inside a phrase, whose time stays as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import islice, pairwise
from math import inf

from transcription.core.audio import SAMPLE_RATE, Span
from transcription.core.transcript import Segment

Interval = tuple[float, float]  # start and end, seconds

# Furthest that an edge that lies in a voice is moved to a pause, in seconds. From further away it is as likely the edge
# of a segment or word inside a phrase, with a short pause nearby.
REACH = 0.3
# The same for the edges of segments at a long pause, in seconds. A sentence seldom goes on after one.
LONG_PAUSE, LONG_REACH = 0.8, 0.5
EARLY = 0.1  # seconds by which the alignment places the ends of words too early, in the median
LEAST_WORD = 0.1  # seconds that are left of a word when its start moves
# Segments of a single word, one for each voice. The alignment is often wrong there, by seconds where pauses are long.
FEWEST_SINGLE = 3


def snapped(segments: Sequence[Segment], voice: Sequence[Span] | None) -> list[Segment]:
    """The segments of a window, with times at the edges of the voice where they are near one.

    segments: in file time, in order, without overlap; those of a decode all with words or all without. voice: the
    spans with a voice, without the pauses between them, in samples of the file; None if unknown. Segments and words in
    a pause keep their times, but a word just before a voice belongs to it, and single words whose alignment is off
    have one voice each, in order. Words may overlap afterwards, where there
    are more of them in a voice than there is time.
    """
    if not voice:
        return list(segments)
    voices = [(round(span.start / SAMPLE_RATE, 2), round(span.end / SAMPLE_RATE, 2)) for span in voice]
    said = [(word.start, word.end) for segment in segments for word in segment.words]
    words = iter(voices if _is_one_a_voice(segments, voices) else snap_words(said, voices))
    plain = iter(snap_segments([(each.start, each.end) for each in segments if not each.words], voices))
    return [
        _with_word_times(segment, list(islice(words, len(segment.words))))
        if segment.words
        else _with_times(segment, next(plain))
        for segment in segments
    ]


def _is_one_a_voice(segments: Sequence[Segment], voices: Sequence[Interval]) -> bool:
    """Whether the alignment of single words with pauses between them is off.

    Then there are as many segments of one word as voices, and some of the words are in no voice.
    """
    if len(segments) != len(voices) or len(voices) < FEWEST_SINGLE or any(len(each.words) != 1 for each in segments):
        return False
    words = [segment.words[0] for segment in segments]
    return not all(any(start < word.end and word.start < end for start, end in voices) for word in words)


def snap_segments(segments: Sequence[Interval], voices: Sequence[Interval]) -> list[Interval]:
    """Move starts to the end, and ends to the start, of the nearest pause.

    In each pause at most one segment starts and one ends, the nearest ones. voices: not empty.
    """
    between = [(earlier[1], later[0]) for earlier, later in pairwise(voices)]
    pauses = [(-inf, voices[0][0]), *between, (voices[-1][1], inf)]
    # One without duration had no time left in its window, and may lie on the border to this one.
    voiced = [start < end and any(start < voice[1] and voice[0] < end for voice in voices) for start, end in segments]

    def may_start_after(index: int, pause: Interval) -> bool:
        return voiced[index] and pause[1] < segments[index][1]

    before = _nearest([start for start, _ in segments], pauses, may_start_after)
    starts = [before[index][1] if index in before else start for index, (start, _) in enumerate(segments)]

    def may_end_before(index: int, pause: Interval) -> bool:
        return voiced[index] and starts[index] < pause[0]

    after = _nearest([end for _, end in segments], pauses, may_end_before)
    ends = [after[index][0] if index in after else end for index, (_, end) in enumerate(segments)]
    return list(zip(starts, ends, strict=True))


def _nearest(
    edges: Sequence[float], pauses: Sequence[Interval], possible: Callable[[int, Interval], bool]
) -> dict[int, Interval]:
    """The pause that each edge is moved to, by the index of the edge. Each pause is given to the edge nearest to it."""
    near = sorted(
        (_distance(edge, pause), index, pause)
        for index, edge in enumerate(edges)
        for pause in pauses
        if possible(index, pause)
    )
    found: dict[int, Interval] = {}
    for distance, index, pause in near:
        if distance <= _reach(pause) and index not in found and pause not in found.values():
            found[index] = pause
    return found


def _reach(pause: Interval) -> float:
    return LONG_REACH if LONG_PAUSE <= pause[1] - pause[0] < inf else REACH


def _distance(time: float, pause: Interval) -> float:
    return max(pause[0] - time, time - pause[1], 0.0)


def snap_words(words: Sequence[Interval], voices: Sequence[Interval]) -> list[Interval]:
    """Move each word into the voice it belongs to; the first and last of a voice to its edges if they are near.

    voices: not empty.
    """
    homes = [_home(word, voices) for word in words]
    moved = []
    for index, (word, home) in enumerate(zip(words, homes, strict=True)):
        first = index == 0 or homes[index - 1] != home
        last = index == len(words) - 1 or homes[index + 1] != home
        moved.append(_in_voice(word, home, first, last) if home else word)
    return moved


def _home(word: Interval, voices: Sequence[Interval]) -> Interval | None:
    """The voice that most of the word is in, or else the nearest one if it is soon after the word."""
    if word[0] == word[1]:
        return None  # as of segments
    start, end = word[0], word[1] + EARLY
    overlap, home = max((min(end, voice[1]) - max(start, voice[0]), voice) for voice in voices)
    return home if overlap > 0 or (start < home[0] and overlap > -REACH) else None


def _in_voice(word: Interval, voice: Interval, first: bool, last: bool) -> Interval:
    start = max(word[0], voice[0])
    if first and start <= voice[0] + REACH:
        start = voice[0]
    least = min(LEAST_WORD, word[1] - word[0])
    end = min(max(word[1], start + least), voice[1])
    if last and end >= voice[1] - REACH:
        end = voice[1]
    return (start, end) if start < end else word


def _with_times(segment: Segment, times: Interval) -> Segment:
    return replace(segment, start=times[0], end=times[1])


def _with_word_times(segment: Segment, times: Sequence[Interval]) -> Segment:
    words = tuple(replace(word, start=start, end=end) for word, (start, end) in zip(segment.words, times, strict=True))
    return replace(segment, start=words[0].start, end=words[-1].end, words=words)
