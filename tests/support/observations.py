"""Observations of windows in which voices are as alike as a test needs them."""

from __future__ import annotations

import numpy as np

from transcription.diarization.observations import VOICE_NUMBERS, Observation

WIDE, TELEPHONE = 1.0, 10.5  # gaps above the telephone's band


def voice(number: int, other: int | None = None, share: float = 0.0) -> np.ndarray:
    """The voice of a person, partly like another one."""
    vector = np.zeros(VOICE_NUMBERS, np.float32)
    vector[number] = 1.0
    if other is not None:
        vector[other] = share
    return vector / np.linalg.norm(vector)


def window(*pieces: tuple[int, float, np.ndarray], band_gap: float = WIDE) -> Observation:
    """A window with pieces of one second: local speaker, seconds alone, voice."""
    count = len(pieces)
    starts = 60 * np.arange(count)
    return Observation(
        0,
        np.ones(60 * count, np.uint8),
        np.array([local for local, _, _ in pieces], np.int8),
        starts.astype(np.int16),
        (starts + 60).astype(np.int16),
        np.array([seconds for _, seconds, _ in pieces], np.float32),
        np.array([each for _, _, each in pieces], np.float32).reshape(-1, VOICE_NUMBERS),
        band_gap,
    )
