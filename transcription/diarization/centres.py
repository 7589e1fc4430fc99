"""Voices without what all voices have in common.

The voices of any two people are alike to some degree: cosine similarity 0.37 on average, 0.5 to 0.55 on telephones.
What they share tells no one apart, and depends on the sound. Without it two people are at about 0.05 whatever the
sound, so that one set of distances serves all recordings (decision 0078).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from transcription.core.default_folders import EMBEDDED_MODEL_DIR
from transcription.diarization.clustering import of_length_one
from transcription.diarization.observations import Observation
from transcription.diarization.weights import FOLDER

CENTRES = "centres.npy"  # shape (2, 192): the average voice of people, and that on telephones
# features.band_gap from which there is only a telephone's band: 7.8 and more there, at most 6 elsewhere.
TELEPHONE_GAP = 7.0


def centred(observations: Sequence[Observation]) -> list[Observation]:
    """The same with voices less the average voice in such a recording, of length 1 again."""
    centre = centres()[int(is_telephone(observations))]
    return [replace(each, voices=less(each.voices, centre)) for each in observations]


def is_telephone(observations: Sequence[Observation]) -> bool:
    """Whether the speech has only the telephone's band."""
    spoken = [(each.band_gap, float(each.seconds.sum())) for each in observations if each.seconds.any()]
    total = sum(seconds for _, seconds in spoken)
    return total > 0 and sum(gap * seconds for gap, seconds in spoken) >= TELEPHONE_GAP * total


def less(voices: NDArray[np.float32], centre: NDArray[np.float32]) -> NDArray[np.float32]:
    """Voices, shape (n, 192), less a centre, shape (192,), each of length 1; those that are 0 stay so."""
    return of_length_one(np.where(voices.any(axis=1, keepdims=True), voices - centre, np.float32(0)))


@cache
def centres() -> NDArray[np.float32]:
    """Of the embedded weights; models/diarization/README.md says how they are made."""
    loaded: NDArray[np.float32] = np.load(Path(EMBEDDED_MODEL_DIR, FOLDER, CENTRES))
    return loaded
