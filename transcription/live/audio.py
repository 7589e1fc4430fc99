"""The audio of a session that may still be needed, with the probability of speech in each chunk of it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from transcription.core.audio import Span
from transcription.core.errors import InvalidParameter
from transcription.media.voice_activity import (
    CHUNK_SAMPLES,
    Activity,
    bridged,
    stretches_of,
    without_clicks,
)

Samples = NDArray[np.int16]
BYTES_PER_SAMPLE = 2


class AudioBuffer:
    """Samples `start` to `end` of the session; `start` is a multiple of CHUNK_SAMPLES.

    The last, incomplete chunk has no probability yet.
    """

    def __init__(self) -> None:
        self.start = 0
        self._samples = np.empty(0, np.int16)
        self._probabilities: list[float] = []

    @property
    def end(self) -> int:
        """Index of the sample after the last one."""
        return self.start + len(self._samples)

    @property
    def heard(self) -> int:
        """Index of the first sample without a probability."""
        return self.start + len(self._probabilities) * CHUNK_SAMPLES

    def append(self, samples: Samples) -> Samples:
        """Append samples of any number. Returns the complete chunks that have no probability yet."""
        self._samples = np.concatenate((self._samples, samples))
        first = self.heard - self.start
        length = (len(self._samples) - first) // CHUNK_SAMPLES * CHUNK_SAMPLES
        return self._samples[first : first + length]

    def add_probabilities(self, probabilities: Sequence[float]) -> None:
        """The probabilities of the chunks that `append` returned."""
        self._probabilities += probabilities

    def drop_before(self, sample: int) -> None:
        """Forget what is before a sample; whole chunks, and only those with a probability."""
        chunks = min((sample - self.start) // CHUNK_SAMPLES, len(self._probabilities))
        if chunks > 0:
            self._samples = self._samples[chunks * CHUNK_SAMPLES :].copy()  # a slice would keep what was dropped
            self._probabilities = self._probabilities[chunks:]
            self.start += chunks * CHUNK_SAMPLES

    def slice(self, start: int, end: int) -> Samples:
        """The samples from `start` to `end` of the session, as far as they are there."""
        return self._samples[max(0, start - self.start) : max(0, end - self.start)].copy()

    def voiced(self, start: int, end: int, threshold: float) -> bool:
        """Whether there is a voice between two samples. threshold: probability from which a chunk is speech, 0..1."""
        return bool(self.activity(start, end, threshold).voice)

    def activity(self, start: int, end: int, threshold: float) -> Activity:
        """The speech between two samples, in samples of the session."""
        first = max(0, start - self.start) // CHUNK_SAMPLES
        chunks = self._probabilities[first : max(0, -(-(end - self.start) // CHUNK_SAMPLES))]
        origin = self.start + first * CHUNK_SAMPLES
        found = stretches_of(chunks, len(chunks) * CHUNK_SAMPLES, threshold, 0)
        spans = [Span(span.start + origin, span.length) for span in without_clicks(bridged(found))]
        return Activity(spans, spans)


def as_samples(given: Samples | bytes) -> Samples:
    """PCM as samples. given: int16, or the same as little-endian bytes. Raises InvalidParameter."""
    if not isinstance(given, bytes | bytearray | memoryview):
        return np.asarray(given, np.int16)
    if len(given) % BYTES_PER_SAMPLE:
        raise InvalidParameter(
            f"{len(given)} bytes are not whole samples of 16 bits. Send an even number of bytes in each frame."
        )
    return np.frombuffer(given, "<i2").astype(np.int16, copy=False)
