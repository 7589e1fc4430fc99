"""The output of the segmentation model: for each frame, which set of local speakers is speaking."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from transcription.core.audio import SAMPLE_RATE

LOCAL_SPEAKERS = 3  # that the model tells apart in a window
# The sets, in the order of the model's classes: silence, one speaker, two at a time.
SETS: tuple[tuple[int, ...], ...] = ((), (0,), (1,), (2,), (0, 1), (0, 2), (1, 2))

FRAME_SHIFT = 270  # samples between two frames
RECEPTIVE_FIELD = 991  # samples that a frame is computed from
FRAMES_PER_SECOND = SAMPLE_RATE / FRAME_SHIFT  # 59.3
WINDOW_SAMPLES = 10 * SAMPLE_RATE  # the length that the model was trained on

_MEMBERS: NDArray[np.bool_] = np.array([[speaker in each for speaker in range(LOCAL_SPEAKERS)] for each in SETS])


def frames_in(samples: int) -> int:
    """Number of frames of a window of so many samples."""
    return max(0, (samples - RECEPTIVE_FIELD) // FRAME_SHIFT + 1)


def frame_time(frame: float) -> float:
    """The time that a frame's start stands for, seconds; halves and sums of frames are frames too.

    A frame stands for the 270 samples in the middle of its receptive field.
    """
    return (frame * FRAME_SHIFT + (RECEPTIVE_FIELD - FRAME_SHIFT) / 2) / SAMPLE_RATE


def likeliest(scores: NDArray[np.float32]) -> NDArray[np.uint8]:
    """The set in each frame, as an index of SETS, shape (frames,). scores: log probabilities, shape (frames, 7)."""
    return np.asarray(scores.argmax(axis=1), np.uint8)


def activity(sets: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Who speaks, shape (frames, 3). sets: of `likeliest`, shape (frames,)."""
    active: NDArray[np.bool_] = _MEMBERS[sets]
    return active


def alone(active: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Who speaks alone, of the same shape as `active`: (frames, 3)."""
    return np.asarray(active & (active.sum(axis=1, keepdims=True) == 1), np.bool_)


def silence(scores: NDArray[np.float32]) -> NDArray[np.float32]:
    """Probability of silence in each frame, shape (frames,). scores: as for `likeliest`."""
    return np.exp(scores[:, 0])


def runs(speaking: NDArray[np.bool_]) -> Iterator[tuple[int, int]]:
    """The stretches of true, as (first, one after the last)."""
    edges = np.flatnonzero(np.diff(np.concatenate(([False], speaking, [False])).astype(np.int8)))
    yield from zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True)
