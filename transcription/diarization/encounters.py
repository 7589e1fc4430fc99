"""Who takes turns with whom: evidence, apart from the voices, of whether two found are one person."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from transcription.diarization.observations import NO_OWNER, Observation

LEAST_SECONDS = 0.5  # of a piece whose local speaker counts as evidence


@dataclass(frozen=True, slots=True)
class Encounters:
    """How often pieces of two people are in one window, shape (people, people), symmetric.

    apart: the segmentation gives the pieces to two local speakers. together: to the same one.
    """

    apart: NDArray[np.int64]
    together: NDArray[np.int64]

    @property
    def expected(self) -> NDArray[np.float64]:
        """What `apart` would be if everyone took turns with everyone else, as often as each does at all."""
        each = self.apart.sum(axis=1)
        return np.asarray(np.outer(each, each) / max(1, each.sum()), np.float64)


def encounters(observations: Sequence[Observation], owners: Sequence[NDArray[np.int64]], people: int) -> Encounters:
    """Count them. owners: whose each piece is, for each window."""
    apart, together = np.zeros((2, people, people), np.int64)
    for window, owner in zip(observations, owners, strict=True):
        clear = np.flatnonzero((owner != NO_OWNER) & (window.seconds >= LEAST_SECONDS))
        who, local = owner[clear], window.locals[clear]
        first, second = np.nonzero(who[:, None] != who)
        is_apart = local[first] != local[second]
        np.add.at(apart, (who[first], who[second]), is_apart)
        np.add.at(together, (who[first], who[second]), ~is_apart)
    return Encounters(apart, together)
