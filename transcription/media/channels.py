"""The mix of channels, also of those that cancel each other."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.int16]

# Share of the difference's energy below which the sum counts as cancelled: a correlation of left and right below -0.8.
# Channels with different voices, or with the same voice and echoes, are above -0.5.
CANCELLED = 0.1
OPPOSITE = -0.8  # correlation of two channels below which one is the other, inverted


def mix(interleaved: Samples) -> Samples:
    """One channel of a block: the sum, or the difference if left and right cancel each other in the sum.

    A constant offset is no sound: it counts for neither.

    interleaved: int16, shape (2 n,), half the sum and half the difference in turn, see `filters.output_channels`.
    """
    total, difference = interleaved[0::2], interleaved[1::2]
    if _energy(total) < CANCELLED * _energy(difference):
        return np.ascontiguousarray(difference)
    return np.ascontiguousarray(total)


def mix_all(interleaved: Samples, channels: int) -> Samples:
    """One channel of a block: the mean of all, of which those that are another one inverted are turned round.

    interleaved: int16, shape (channels n,).
    """
    frames = interleaved.reshape(-1, channels).astype(np.float64)
    if not len(frames):
        return interleaved
    sound = frames - frames.mean(axis=0)
    energies = np.square(sound).sum(axis=0)
    loudest = int(energies.argmax())
    norms = np.sqrt(energies * energies[loudest])
    correlations = sound.T @ sound[:, loudest] / np.where(norms > 0, norms, 1.0)
    signs = np.where(correlations < OPPOSITE, -1.0, 1.0)
    # The sign of the first of them does not change from block to block with the loudest one.
    same = np.abs(correlations) > -OPPOSITE
    if same.any():
        signs[same] *= signs[same.argmax()]
    return (frames @ signs / channels).astype(np.int16)


def _energy(samples: Samples) -> float:
    return float(np.var(samples, dtype=np.float64)) if len(samples) else 0.0
