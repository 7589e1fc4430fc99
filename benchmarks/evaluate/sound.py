"""Where the voice of an utterance is heard inside the times that a reference gives for it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from benchmarks.evaluate.references import Spoken

RATE = 16_000
FRAME = 480  # samples, 30 ms
AUDIBLE = 25.0  # dB below the loudness of the utterance; breath and noise are quieter


def to_sound(spoken: Sequence[Spoken], samples: NDArray[np.float32]) -> tuple[Spoken, ...]:
    """The utterances without the silence at their ends, which clips of recordings have.

    An utterance lasts from its first to its last 30 ms that are less than 25 dB below its mean power. One that is
    shorter than that, or outside the recording, keeps its times. samples: of the recording, 16 kHz mono.
    """
    return tuple(_to_sound(each, samples) for each in spoken)


def _to_sound(spoken: Spoken, samples: NDArray[np.float32]) -> Spoken:
    first = round(spoken.start * RATE)
    part = samples[first : round(spoken.end * RATE)].astype(np.float64)
    power = (part[: len(part) // FRAME * FRAME].reshape(-1, FRAME) ** 2).mean(axis=1)
    if not power.any():
        return spoken
    loud = np.flatnonzero(power > (part**2).mean() / 10 ** (AUDIBLE / 10))
    start, end = first + int(loud[0]) * FRAME, first + (int(loud[-1]) + 1) * FRAME
    return Spoken(start / RATE, end / RATE, spoken.text)
