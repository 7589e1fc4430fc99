"""Audio as clients of live sessions send it, converted to 16 kHz mono int16 while it arrives."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from functools import cache

import av
import numpy as np
from av.audio.codeccontext import AudioCodecContext
from numpy.typing import NDArray

from transcription.core.audio import SAMPLE_RATE
from transcription.core.errors import InvalidParameter
from transcription.media.resample import Resampler

Samples = NDArray[np.int16]

LEAST_RATE, MOST_RATE = 8_000, 48_000  # Hz
MOST_CHANNELS = 8
TELEPHONE_RATE = 8_000  # Hz, of G.711


class Encoding(StrEnum):
    """How a sample is encoded; the values are FFmpeg's names of the codecs. The last two are G.711."""

    INT16 = "pcm_s16le"
    MU_LAW = "pcm_mulaw"
    A_LAW = "pcm_alaw"

    @property
    def bytes_per_sample(self) -> int:
        """Bytes of one sample of one channel."""
        return 2 if self is Encoding.INT16 else 1


@dataclass(frozen=True, slots=True)
class PcmFormat:
    """rate: Hz, LEAST_RATE to MOST_RATE. channels: 1 to MOST_CHANNELS, interleaved; they are mixed.

    Construction raises InvalidParameter.
    """

    encoding: Encoding = Encoding.INT16
    rate: int = SAMPLE_RATE
    channels: int = 1

    def __post_init__(self) -> None:
        if not LEAST_RATE <= self.rate <= MOST_RATE:
            raise InvalidParameter(f"The sample rate must be {LEAST_RATE} to {MOST_RATE} Hz, not {self.rate}.")
        if not 1 <= self.channels <= MOST_CHANNELS:
            raise InvalidParameter(f"The audio must have 1 to {MOST_CHANNELS} channels, not {self.channels}.")

    @property
    def frame_bytes(self) -> int:
        """Bytes of one sample of all channels."""
        return self.encoding.bytes_per_sample * self.channels


class PcmStream:
    """Converts one stream of audio, piece by piece. A piece consists of whole samples."""

    def __init__(self, pcm: PcmFormat) -> None:
        self._pcm = pcm
        self._resampler = Resampler(pcm.rate)

    def convert(self, data: bytes) -> Samples:
        """The samples of the next piece: int16, shape (n,), 16 kHz mono.

        A few milliseconds stay in the resampler until the next piece. Raises InvalidParameter if the piece ends within
        a sample.
        """
        if len(data) % self._pcm.frame_bytes:
            raise InvalidParameter(
                f"{len(data)} bytes of audio are not whole samples of {self._pcm.frame_bytes} bytes. Send whole ones."
            )
        return self._resampler.convert(self._mixed(self._decoded(data)))

    def _decoded(self, data: bytes) -> Samples:
        if self._pcm.encoding is Encoding.INT16:
            return np.frombuffer(data, "<i2").astype(np.int16, copy=False)
        samples: Samples = _table(self._pcm.encoding)[np.frombuffer(data, np.uint8)]
        return samples

    def _mixed(self, samples: Samples) -> Samples:
        if self._pcm.channels == 1:
            return samples
        mixed: Samples = samples.reshape(-1, self._pcm.channels).mean(axis=1).astype(np.int16)
        return mixed


@cache
def _table(encoding: Encoding) -> Samples:
    """The sample that each byte of G.711 means, shape (256,)."""
    decoder = av.CodecContext.create(encoding.value, "r")
    assert isinstance(decoder, AudioCodecContext)
    decoder.sample_rate = TELEPHONE_RATE
    decoder.layout = "mono"
    [frame] = decoder.decode(av.Packet(bytes(range(256))))
    table: Samples = frame.to_ndarray().ravel().astype(np.int16)
    return table
