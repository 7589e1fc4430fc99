"""Mel features as Kaldi computes them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from transcription.core.audio import SAMPLE_RATE
from transcription.diarization.features import FRAME_SAMPLES, MELS, SHIFT_SAMPLES, band_gap, fbank

# Of kaldi-native-fbank 1.22.4 for `chirp()`: frames 0, 40 and 97, filters 0, 20, 40, 60 and 79.
KALDI = [
    [-5.932, -13.826, -15.942, -15.942, -14.105],
    [-11.883, -15.942, -13.462, -12.227, -14.210],
    [-13.121, -15.942, -15.942, -15.230, -8.493],
]


def chirp() -> np.ndarray:
    """One second from 100 to 7,100 Hz."""
    time = np.arange(SAMPLE_RATE) / SAMPLE_RATE
    return (8000 * np.sin(2 * np.pi * (100 * time + 3500 * time**2))).astype(np.int16)


def tone(hertz: float) -> np.ndarray:
    return (8000 * np.sin(2 * np.pi * hertz * np.arange(SAMPLE_RATE) / SAMPLE_RATE)).astype(np.int16)


def test_features_are_those_of_kaldi() -> None:
    assert fbank(chirp())[[0, 40, 97]][:, [0, 20, 40, 60, 79]] == pytest.approx(np.array(KALDI), abs=0.02)


@given(st.integers(0, 4000))
def test_only_whole_frames_count(length: int) -> None:
    frames = 1 + (length - FRAME_SAMPLES) // SHIFT_SAMPLES if length >= FRAME_SAMPLES else 0
    assert fbank(np.ones(length, np.int16)).shape == (frames, MELS)


def test_features_of_digital_silence_are_finite() -> None:
    assert np.isfinite(fbank(np.zeros(SAMPLE_RATE, np.int16))).all()


def test_a_higher_tone_has_its_energy_in_a_higher_filter() -> None:
    loudest = [fbank(tone(hertz)).mean(axis=0).argmax() for hertz in (200, 800, 3200, 6400)]
    assert loudest == sorted(set(loudest))


def test_the_gap_above_the_telephones_band_is_large_only_if_nothing_is_there() -> None:
    noise = np.random.default_rng(0).normal(0, 2000, SAMPLE_RATE)
    spectrum = np.fft.rfft(noise)
    spectrum[3400:] = 0  # one bin is 1 Hz
    assert band_gap(fbank(noise.astype(np.int16))) < 1
    assert band_gap(fbank(np.fft.irfft(spectrum).astype(np.int16))) > 8
