"""Time errors of segments and words, found by aligning the transcript with what was said."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.evaluate.references import Spoken
from benchmarks.evaluate.scoring import matches, plain_words


@dataclass(frozen=True, slots=True)
class TimeErrors:
    """Transcript minus reference at every edge that both have, seconds; negative is early.

    edges: starts in the reference, and so ends, too.
    """

    starts: tuple[float, ...]
    ends: tuple[float, ...]
    edges: int


@dataclass(frozen=True, slots=True)
class _Unit:
    """A word within a piece of text. first, last: whether the piece starts or ends with it."""

    text: str
    piece: Spoken
    first: bool
    last: bool


def time_errors(reference: Sequence[Spoken], transcript: Sequence[Spoken], language: str) -> TimeErrors:
    """Compare the edges of two sequences of text, which may be divided in different places.

    An edge counts where the same word starts (or ends) a piece in both, so that a word that was misheard or a segment
    that holds two utterances moves nothing. A word's time is compared only where the reference gives it: at the start
    and end of an utterance.
    """
    spoken, heard = _units(reference, language), _units(transcript, language)
    pairs = [
        (spoken[said], heard[found])
        for said, found in matches([unit.text for unit in spoken], [unit.text for unit in heard])
    ]
    return TimeErrors(
        tuple(found.piece.start - said.piece.start for said, found in pairs if said.first and found.first),
        tuple(found.piece.end - said.piece.end for said, found in pairs if said.last and found.last),
        sum(unit.first for unit in spoken),
    )


def _units(pieces: Sequence[Spoken], language: str) -> list[_Unit]:
    found = []
    for piece in pieces:
        words = plain_words(piece.text, language)
        last = len(words) - 1
        found += [_Unit(word, piece, index == 0, index == last) for index, word in enumerate(words)]
    return found
