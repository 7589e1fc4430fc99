"""Where the voice of an utterance is heard inside the times that a reference gives for it.

By loudness alone, so that the result does not depend on the detector whose times are evaluated.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from benchmarks.evaluate.references import Spoken
from transcription.core.audio import SAMPLE_RATE

FRAME = 480  # samples, 30 ms
LASTING = 3  # frames in a row; a click is shorter
QUIETEST, LOUDEST = -25.0, -15.0  # bounds of the threshold, dB relative to the utterance's mean power
ABOVE_NOISE = 10.0  # dB
NOISE_PERCENTILE = 10  # of the levels of an utterance's frames, taken as the level of the noise under it


def to_sound(spoken: Sequence[Spoken], samples: NDArray[np.float32]) -> tuple[Spoken, ...]:
    """The utterances without the silence at their ends, which clips of recordings have.

    An utterance lasts from its first to its last 90 ms that are 10 dB louder than the noise in it: at least -25 dB,
    relative to its mean power, and -15 dB if it is noisy. One that has none, or is outside the recording, keeps its
    times. samples: of the recording, 16 kHz mono.
    """
    return tuple(_to_sound(each, samples) for each in spoken)


def _to_sound(spoken: Spoken, samples: NDArray[np.float32]) -> Spoken:
    first = round(spoken.start * SAMPLE_RATE)
    part = samples[first : round(spoken.end * SAMPLE_RATE)].astype(np.float64)
    power = (part[: len(part) // FRAME * FRAME].reshape(-1, FRAME) ** 2).mean(axis=1)
    if not power.any():
        return spoken
    levels = 10 * np.log10(np.maximum(power / power.mean(), 1e-12))
    noise = float(np.percentile(levels, NOISE_PERCENTILE))
    loud = levels > min(max(noise + ABOVE_NOISE, QUIETEST), LOUDEST)
    lasting = np.flatnonzero(np.convolve(loud, np.ones(LASTING), "valid") == LASTING) if len(loud) >= LASTING else ()
    if not len(lasting):
        return spoken
    start, end = first + int(lasting[0]) * FRAME, first + (int(lasting[-1]) + LASTING) * FRAME
    return Spoken(start / SAMPLE_RATE, end / SAMPLE_RATE, spoken.text)
