"""Words as a decode gives them, for tests of live sessions."""

from __future__ import annotations

from transcription.core.transcript import Segment, Word


def words(text: str, start: float = 0.0, seconds: float = 0.4, probability: float = 0.5) -> list[Word]:
    """The words of a text, one every so many seconds from `start` on, without pauses."""
    return [
        Word(f" {each}", start + index * seconds, start + (index + 1) * seconds, probability)
        for index, each in enumerate(text.split())
    ]


def segment(spoken: list[Word]) -> Segment:
    """The words as the only segment of a decode."""
    text = "".join(word.text for word in spoken)
    return Segment(spoken[0].start, spoken[-1].end, text, (), -0.2, 1.0, 0.0, 0.0, words=tuple(spoken))


def texts(spoken: list[Word]) -> str:
    """The words as text."""
    return "".join(word.text for word in spoken).strip()
