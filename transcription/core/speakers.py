"""Who speaks when. Times are in seconds of the file."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Turn:
    """A stretch in which one person speaks. Turns of different people may overlap. speaker: number from 0 on."""

    start: float
    end: float
    speaker: int


@dataclass(frozen=True, slots=True)
class Speaker:
    """A person in a transcript. label: as in its words and segments.

    seconds: of speech. share: of the speech of all, 0..1; of overlapping speech, each speaker has all.
    """

    label: str
    seconds: float
    share: float
