"""PCM at another sample rate, as a stream."""

from __future__ import annotations

import av
import numpy as np
from numpy.typing import NDArray

from transcription.core.audio import SAMPLE_RATE

Samples = NDArray[np.int16]


class Resampler:
    """Converts mono int16 PCM to 16 kHz, piece by piece. rate: of what is fed, Hz, 8,000 to 48,000."""

    def __init__(self, rate: int) -> None:
        self._rate = rate
        self._resampler = (
            av.AudioResampler(format="s16", layout="mono", rate=SAMPLE_RATE) if rate != SAMPLE_RATE else None
        )

    def convert(self, samples: Samples) -> Samples:
        """What is complete of the result. samples: shape (n,)."""
        if self._resampler is None or not len(samples):
            return samples
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples).reshape(1, -1), format="s16", layout="mono")
        frame.sample_rate = self._rate
        frames = [each.to_ndarray().ravel() for each in self._resampler.resample(frame)]
        return np.concatenate(frames).astype(np.int16, copy=False) if frames else np.empty(0, np.int16)
