"""What is kept of a window: who of its local speakers spoke in which frames, and the voices of its pieces."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from transcription.diarization.features import FRAMES_PER_SECOND, band_gap, fbank
from transcription.diarization.pieces import pieces_of
from transcription.diarization.powerset import likeliest
from transcription.diarization.sessions import SpeakerModels
from transcription.diarization.windows import SoundWindow

VOICE_NUMBERS = 192  # that describe a voice
NO_OWNER = -1  # of a piece whose speaker is not known


@dataclass(frozen=True, slots=True, eq=False)
class Observation:
    """A window after both models have seen it. Takes about 4 KB.

    first_frame: among the file's. sets: indices of powerset.SETS, shape (frames,).
    locals, starts, ends, seconds: of each piece its local speaker, its frames in the window and how long it was heard
    alone, all of shape (pieces,). voices: shape (pieces, 192), each of length 1, or 0 where the voice cannot be told.
    band_gap: of the speech, see features.band_gap; 0 if there is none.
    """

    first_frame: int
    sets: NDArray[np.uint8]
    locals: NDArray[np.int8]
    starts: NDArray[np.int16]
    ends: NDArray[np.int16]
    seconds: NDArray[np.float32]
    voices: NDArray[np.float32]
    band_gap: float

    @property
    def end_frame(self) -> int:
        return self.first_frame + len(self.sets)


def observe(window: SoundWindow, models: SpeakerModels) -> Observation:
    """Run both models on a window."""
    scores = models.segment(window.samples)
    mel = fbank(window.samples)
    pieces = pieces_of(scores, (window.core_start, window.core_end), len(mel))
    # Rounded to half precision, by about 1e-7 of the cosine: `kept` stores them so, and a resumed run has the same.
    voices = np.zeros((len(pieces), VOICE_NUMBERS), np.float16)
    for row, piece in enumerate(pieces):
        if len(piece.voice):
            voices[row] = models.embed(mel[piece.voice])
    spoken = np.concatenate([piece.voice for piece in pieces] or [np.empty(0, np.int64)])
    return Observation(
        window.first_frame,
        likeliest(scores),
        np.array([piece.local for piece in pieces], np.int8),
        np.array([piece.start for piece in pieces], np.int16),
        np.array([piece.end for piece in pieces], np.int16),
        np.array([len(piece.voice) / FRAMES_PER_SECOND for piece in pieces], np.float32),
        voices.astype(np.float32),
        band_gap(mel[spoken]) if len(spoken) else 0.0,
    )
