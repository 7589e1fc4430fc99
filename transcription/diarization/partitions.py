"""Which of several ways to divide the pieces among so many people is the likeliest.

Linkage joins the closest two and never takes a piece back, and leaves short pieces out. So it is done at several cuts.
From each, every piece goes to the most similar voice, the voices are computed again, and two are joined until there are
as many as people. The evidence then decides between the results.

The model behind the evidence: a piece is its person's voice, less clear the shorter it is, and noise. The voices of
different people have nothing in common (what they had is subtracted, see `centres`).
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from transcription.diarization.clustering import Clusters, Vectors, reduced

ROUNDS = 3  # of giving pieces to voices and computing the voices again
CLEAREST = 0.75  # how much of a long piece is the person's voice
CLEAR_SECONDS = 0.7  # of a piece in which two thirds of that are reached
WEIGHT = 0.35  # of a piece as evidence: pieces of one person vary together, so that two do not count twice


def best_partition(pieces: Clusters, starts: Iterable[Vectors], count: int, least: float) -> Vectors | None:
    """The voices of `count` people, each of length 1, shape (count, 192); None if no start leads to so many.

    pieces: of all lengths, each a cluster of its own. starts: voices to begin with, more than there are people.
    least: seconds of speech that a person has.
    """
    found = [each for start in starts if (each := _narrowed(pieces, start, count, least)) is not None]
    if not found:
        return None
    return pieces.merged(max(found, key=lambda owners: evidence(pieces, owners))).directions


def evidence(pieces: Clusters, owners: NDArray[np.int64]) -> float:
    """How much likelier the pieces are with these owners than without any, as a logarithm times a constant.

    owners: whose each piece is, shape (pieces,), every number from 0 on in use.
    """
    clear = CLEAREST * (1.0 - np.exp(-pieces.weights / CLEAR_SECONDS))
    precision = WEIGHT * clear / (1.0 - clear**2)
    sums = np.zeros((int(owners.max()) + 1, pieces.means.shape[1]))
    np.add.at(sums, owners, precision[:, None] * pieces.means)
    known = np.bincount(owners, precision * clear)
    return float(((sums**2).sum(axis=1) / (1.0 + known) - np.log1p(known)).sum())


def _narrowed(pieces: Clusters, voices: Vectors, count: int, least: float) -> NDArray[np.int64] | None:
    """The owners of the pieces when there are `count` of them, each with enough speech; None if there never are."""
    while len(voices) >= count:
        owners, people = _settled(pieces, voices)
        enough = people.weights >= min(least, people.weights.max())
        if not enough.all():
            voices = people.of(enough).directions
        elif len(people) > count:
            voices = reduced(people, len(people) - 1).directions
        else:
            return owners if len(people) == count else None
    return None


def _settled(pieces: Clusters, voices: Vectors) -> tuple[NDArray[np.int64], Clusters]:
    for _ in range(ROUNDS):
        nearest = (pieces.means @ voices.T).argmax(axis=1)
        owners = np.unique(nearest, return_inverse=True)[1].astype(np.int64)
        people = pieces.merged(owners)
        voices = people.directions
    return owners, people
