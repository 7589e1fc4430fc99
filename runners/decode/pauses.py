"""Where a window is divided if a decode of it has too little text, or the same again and again. Decides only.

Of a sentence that is said several times Whisper writes some, or repeats it so that the text looks like a loop.
`docs/decisions/0091-repeated-sentences.md` has the measurements behind every number here.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from runners.decode.unread import AS_LOUD, LEVEL_PERCENTILE
from transcription.core.audio import FRAMES_PER_SECOND

FEWEST_TOKENS_PER_SECOND = 4  # of text, per second of speech without its pauses
MORE_TEXT = 1.25  # times the letters of a decode that the parts between the pauses have if it lacks some
PAUSE_FRAMES = 3 * FRAMES_PER_SECOND // 10  # the shortest pause
LONG = 1 / 3  # of the longest pause in the part
LEAST_SPEECH_FRAMES = FRAMES_PER_SECOND  # between two pauses
QUIET_PERCENTILE = 10  # of frames: in noise, pauses are not as faint as AS_LOUD says, but this share of the way
QUIET_SHARE = 0.4  # from the quiet frames to the loud ones


def may_be_sparse(tokens: int, frames: int) -> bool:
    """Whether a decode may have too little text. tokens: of text. frames: of its part, pauses included."""
    return 0 < tokens < FEWEST_TOKENS_PER_SECOND * frames / FRAMES_PER_SECOND


def is_sparse(tokens: int, loudness: NDArray[np.float32]) -> bool:
    """Whether a decode has too little text for the speech in its part.

    tokens: of text. loudness: mean of the features of each frame of the part.
    """
    return may_be_sparse(tokens, int(np.count_nonzero(_is_loud(loudness))))


def pauses(loudness: NDArray[np.float32]) -> list[int]:
    """The middle frames of the long pauses in a part, in order. loudness: as for `is_sparse`.

    Much shorter ones than the longest may be within a sentence.
    """
    changes = np.diff(np.concatenate(([0], ~_is_loud(loudness), [0])).astype(np.int8))
    quiet = [
        (int(start), int(end))
        for start, end in zip(np.flatnonzero(changes > 0), np.flatnonzero(changes < 0), strict=True)
        if start > 0 and end < len(loudness)
    ]
    shortest = max([PAUSE_FRAMES, *(LONG * (end - start) for start, end in quiet)])
    found, spoken_from = [], 0
    for start, end in quiet:
        if end - start >= shortest and min(start - spoken_from, len(loudness) - end) >= LEAST_SPEECH_FRAMES:
            found.append((start + end) // 2)
            spoken_from = end
    return found


def _is_loud(loudness: NDArray[np.float32]) -> NDArray[np.bool_]:
    quiet, loud = np.percentile(loudness, (QUIET_PERCENTILE, LEVEL_PERCENTILE))
    return np.asarray(loudness > max(loud - AS_LOUD, quiet + QUIET_SHARE * (loud - quiet)))
