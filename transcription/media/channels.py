"""The mix of two channels, also of those that cancel each other."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.int16]

# Share of the difference's energy below which the sum counts as cancelled: a correlation of left and right below -0.8.
# Channels with different voices, or with the same voice and echoes, are above -0.5.
CANCELLED = 0.1


def mix(interleaved: Samples) -> Samples:
    """One channel of a block: the sum, or the difference if left and right cancel each other in the sum.

    A constant offset is no sound: it counts for neither.

    interleaved: int16, shape (2 n,), half the sum and half the difference in turn, see `filters.output_channels`.
    """
    total, difference = interleaved[0::2], interleaved[1::2]
    if _energy(total) < CANCELLED * _energy(difference):
        return np.ascontiguousarray(difference)
    return np.ascontiguousarray(total)


def _energy(samples: Samples) -> float:
    return float(np.var(samples, dtype=np.float64)) if len(samples) else 0.0
