"""Silero on a stream: the probability of speech of each chunk as it arrives, and the speech in a whole block."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from transcription.core.audio import INT16_SCALE, SAMPLE_RATE
from transcription.core.options import VadOptions
from transcription.media.voice_activity import (
    CHUNK_SAMPLES,
    Activity,
    Samples,
    bridged,
    stretches_of,
    without_clicks,
)

# 4 s. Silero takes about 1 MB of memory for each second that it is given at once, and is no faster with more of them.
PIECE_SAMPLES = 125 * CHUNK_SAMPLES
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


def listen_with_silero(samples: Samples, vad: VadOptions) -> Activity:
    """The speech that Silero detects in a block. samples: int16, shape (n,), 16 kHz.

    The stretches are faster-whisper's.
    """
    if not len(samples):
        return Activity((), ())
    padded = np.pad(samples, (0, CHUNK_SAMPLES - len(samples) % CHUNK_SAMPLES))
    padded[-CONTEXT_SAMPLES:] = 0  # as in faster-whisper
    stream = VoiceStream()
    pieces = (padded[start : start + PIECE_SAMPLES] for start in range(0, len(padded), PIECE_SAMPLES))
    probabilities = [probability for piece in pieces for probability in stream.listen(piece)]
    min_silence = vad.min_silence_ms * SAMPLE_RATE // 1000
    stretches = stretches_of(probabilities, len(samples), vad.threshold, min_silence)
    return Activity(stretches, without_clicks(bridged(stretches_of(probabilities, len(samples), vad.threshold, 0))))


def _session() -> Any:
    # Imported at the first chunk, like the detector's model: its libraries are a sixth of what the API imports.
    from faster_whisper.vad import get_vad_model

    return get_vad_model().session
