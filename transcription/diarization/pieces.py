"""Pieces of speech: short enough that one speaker speaks in each, long enough that the voice can be told.

The segmentation model tells the speakers of a window apart, but takes two of similar voices for one when they speak in
turn. So each stretch of a local speaker is cut where a pause is likeliest, and its pieces are told apart by voice.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from transcription.diarization import features
from transcription.diarization.powerset import (
    FRAME_SHIFT,
    FRAMES_PER_SECOND,
    LOCAL_SPEAKERS,
    RECEPTIVE_FIELD,
    activity,
    alone,
    likeliest,
    runs,
    silence,
)

LONGEST_PIECE = 3.0  # seconds
SHORTEST_PART = 1.0  # seconds of the parts that a longer stretch is cut into
SHORTEST_VOICE = 0.3  # seconds of a speaker alone that a voice is computed from

_PAUSE = np.hanning(11)[1:-1] / np.hanning(11).sum()  # weights of the 9 frames, 0.15 s, around a possible pause


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of speech of one local speaker.

    local: number of the local speaker. start, end: frames of the window. voice: frames of the window's mel features in
    which no one else speaks, shape (n,); empty if they are too few to tell the voice, or it is told in another window.
    """

    local: int
    start: int
    end: int
    voice: NDArray[np.int64]


def pieces_of(scores: NDArray[np.float32], core: tuple[int, int], mel_frames: int) -> list[Piece]:
    """The pieces that are at least partly in the core of a window, by local speaker, then by time.

    scores: log probabilities of the segmentation model, shape (frames, 7). core: its first frame and the one after its
    last. mel_frames: number of frames of the window's mel features.
    """
    active = activity(likeliest(scores))
    solo, pauses = alone(active), _pauses(scores)
    places, least = _frames_of_mel(mel_frames), SHORTEST_VOICE * features.FRAMES_PER_SECOND
    found = []
    for local in range(LOCAL_SPEAKERS):
        for stretch in runs(active[:, local]):
            for start, end in cut(*stretch, pauses):
                if start < core[1] and end > core[0]:
                    inside = np.flatnonzero((places >= start) & (places < end))
                    voice = inside[solo[places[inside], local]]
                    # A piece that is mostly in another window's core has its voice there.
                    wanted = core[0] <= (start + end) // 2 < core[1] and len(voice) >= least
                    found.append(Piece(local, start, end, voice if wanted else voice[:0]))
    return found


def cut(start: int, end: int, pauses: NDArray[np.float32]) -> Iterator[tuple[int, int]]:
    """The frames from start to end, cut where a pause is likeliest until no part is longer than LONGEST_PIECE.

    pauses: how likely a pause around each frame is, shape (frames,).
    """
    if end - start <= LONGEST_PIECE * FRAMES_PER_SECOND:
        yield start, end
        return
    least = int(SHORTEST_PART * FRAMES_PER_SECOND)
    middle = start + least + int(pauses[start + least : end - least].argmax())
    yield from cut(start, middle, pauses)
    yield from cut(middle, end, pauses)


def _pauses(scores: NDArray[np.float32]) -> NDArray[np.float32]:
    if len(scores) < len(_PAUSE):
        return silence(scores)
    return np.convolve(silence(scores), _PAUSE, mode="same").astype(np.float32)


def _frames_of_mel(mel_frames: int) -> NDArray[np.int64]:
    """For each mel frame the frame of the segmentation at its middle, shape (mel_frames,)."""
    middles = np.arange(mel_frames) * features.SHIFT_SAMPLES + features.FRAME_SAMPLES // 2
    return np.asarray((middles - (RECEPTIVE_FIELD - FRAME_SHIFT) // 2) // FRAME_SHIFT, np.int64)
