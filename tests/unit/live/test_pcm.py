"""Audio of clients, converted while it arrives."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from transcription.core.errors import InvalidParameter
from transcription.live.pcm import Encoding, PcmFormat, PcmStream


def tone(rate: int, seconds: float = 1.0) -> np.ndarray:
    times = np.arange(int(rate * seconds)) / rate
    return (10_000 * np.sin(2 * np.pi * 440 * times)).astype("<i2")


def in_pieces(pcm: PcmFormat, data: bytes, size: int) -> np.ndarray:
    stream = PcmStream(pcm)
    return np.concatenate([stream.convert(data[at : at + size]) for at in range(0, len(data), size)])


@pytest.mark.parametrize("rate", [8000, 24000, 44100, 48000])
def test_where_the_audio_is_cut_makes_no_difference(rate: int) -> None:
    pcm, data = PcmFormat(rate=rate), tone(rate).tobytes()
    whole = PcmStream(pcm).convert(data)
    assert np.array_equal(in_pieces(pcm, data, 2 * 331), whole)
    assert len(whole) == pytest.approx(16_000, abs=32)


@pytest.mark.parametrize("rate", [8000, 24000, 48000])
def test_a_tone_stays_the_same_tone(rate: int) -> None:
    heard = in_pieces(PcmFormat(rate=rate), tone(rate).tobytes(), 480)
    spectrum = np.abs(np.fft.rfft(heard[:15_000] * np.hanning(15_000)))
    assert np.argmax(spectrum) == pytest.approx(440 * 15_000 / 16_000, abs=1)
    assert np.abs(np.diff(heard.astype(int))).max() < 2500  # no clicks: the tone's own steepest is 1728


def test_16_khz_is_passed_on() -> None:
    samples = tone(16_000)
    assert np.array_equal(PcmStream(PcmFormat()).convert(samples.tobytes()), samples)


@pytest.mark.parametrize(
    ("encoding", "byte", "sample"),
    # ITU-T G.711, scaled to 16 bits.
    [
        (Encoding.MU_LAW, 0x00, -32124),
        (Encoding.MU_LAW, 0xFF, 0),
        (Encoding.A_LAW, 0x2A, -32256),
        (Encoding.A_LAW, 0xD5, 8),
    ],
)
def test_g711(encoding: Encoding, byte: int, sample: int) -> None:
    assert list(PcmStream(PcmFormat(encoding, 16_000)).convert(bytes([byte]))) == [sample]


def test_channels_are_mixed() -> None:
    data = np.array([[100, 300], [-2, 0]], "<i2").tobytes()
    assert list(PcmStream(PcmFormat(channels=2)).convert(data)) == [200, -1]


@pytest.mark.parametrize("pcm", [PcmFormat(), PcmFormat(Encoding.MU_LAW, 8000, 2), PcmFormat(channels=3)])
def test_a_piece_that_ends_within_a_sample_is_refused(pcm: PcmFormat) -> None:
    with pytest.raises(InvalidParameter, match="whole"):
        PcmStream(pcm).convert(b"\0" * (pcm.frame_bytes * 3 - 1))


@pytest.mark.parametrize(("rate", "channels"), [(7999, 1), (48_001, 1), (0, 1), (-1, 1), (16_000, 0), (16_000, 9)])
def test_formats_out_of_range_are_refused(rate: int, channels: int) -> None:
    with pytest.raises(InvalidParameter):
        PcmFormat(rate=rate, channels=channels)


@given(
    st.builds(PcmFormat, st.sampled_from(Encoding), st.integers(8000, 48_000), st.integers(1, 8)),
    st.lists(st.binary(max_size=4000), max_size=5),
)
def test_any_bytes_become_samples_or_are_refused(pcm: PcmFormat, pieces: list[bytes]) -> None:
    stream = PcmStream(pcm)
    for piece in pieces:
        try:
            assert stream.convert(piece).dtype == np.int16
        except InvalidParameter:
            assert len(piece) % pcm.frame_bytes
