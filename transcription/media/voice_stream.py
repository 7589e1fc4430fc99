"""Silero on a stream: the probability of speech of each chunk as it arrives."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from transcription.core.audio import INT16_SCALE
from transcription.media.voice_activity import CHUNK_SAMPLES, Samples

CONTEXT_SAMPLES = 64  # of the chunk before, which Silero reads with each chunk
STATE = (1, 1, 128)  # shape of each of the two states of its LSTM


class VoiceStream:
    """Silero with the state of one stream. The same probabilities as for the whole recording at once.

    Blocks for about 0.2 ms a chunk; not thread-safe.
    """

    def __init__(self) -> None:
        self._hidden = np.zeros(STATE, np.float32)
        self._cell = np.zeros(STATE, np.float32)
        self._context = np.zeros(CONTEXT_SAMPLES, np.float32)

    def listen(self, samples: Samples) -> list[float]:
        """The probability of speech, 0..1, in each chunk of CHUNK_SAMPLES. samples: int16, whole chunks, 16 kHz."""
        if not len(samples):
            return []
        audio = samples.astype(np.float32) / INT16_SCALE
        chunks = audio.reshape(-1, CHUNK_SAMPLES)
        before = np.vstack((self._context, chunks[:-1, -CONTEXT_SAMPLES:]))
        self._context = chunks[-1, -CONTEXT_SAMPLES:]
        given = np.concatenate((before, chunks), axis=1)
        output: NDArray[np.float32]
        output, self._hidden, self._cell = _session().run(None, {"input": given, "h": self._hidden, "c": self._cell})
        return [float(probability) for probability in output.ravel()]


def _session() -> Any:
    # Imported at the first chunk, like the detector's model: its libraries are a sixth of what the API imports.
    from faster_whisper.vad import get_vad_model

    return get_vad_model().session
