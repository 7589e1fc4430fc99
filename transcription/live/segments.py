"""The segments of an utterance, from words that were confirmed in several decodes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from transcription.core.audio import FRAMES_PER_SECOND
from transcription.core.text import SENTENCE_ENDS
from transcription.core.transcript import Segment, Word

PAUSE_SECONDS = 1.0  # that starts a new segment
MOST_SECONDS = 10.0  # of a segment, unless it has no pause between words


@dataclass(frozen=True, slots=True)
class SpokenWord:
    """A word and the segment that it was decoded in, whose figures describe the decode."""

    word: Word
    segment: Segment


def words_in(segments: Sequence[Segment]) -> list[SpokenWord]:
    """The words of segments, in order."""
    return [SpokenWord(word, segment) for segment in segments for word in segment.words]


def segments_of(spoken: Sequence[SpokenWord]) -> tuple[Segment, ...]:
    """The words as segments: a sentence each, or what is between two long pauses.

    Their figures are those of the decode of their first word; they have no tokens, which would be of several decodes.
    """
    groups: list[list[SpokenWord]] = []
    for each in spoken:
        if not groups or _starts_anew(groups[-1], each.word):
            groups.append([])
        groups[-1].append(each)
    return tuple(_segment(group) for group in groups)


def _starts_anew(group: Sequence[SpokenWord], word: Word) -> bool:
    last = group[-1].word
    if last.text.rstrip().endswith(SENTENCE_ENDS) or word.start - last.end >= PAUSE_SECONDS:
        return True
    return word.end - group[0].word.start > MOST_SECONDS


def _segment(group: Sequence[SpokenWord]) -> Segment:
    words = tuple(each.word for each in group)
    start = words[0].start
    return replace(
        group[0].segment,
        start=start,
        end=max(start, words[-1].end),
        text="".join(word.text for word in words),
        tokens=(),
        seek=round(start * FRAMES_PER_SECOND),
        words=words,
    )
