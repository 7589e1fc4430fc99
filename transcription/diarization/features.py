"""Mel features as Kaldi computes them, which the embedding model was trained on."""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from transcription.core.audio import INT16_SCALE, SAMPLE_RATE

MELS = 80
FRAME_SAMPLES = SAMPLE_RATE * 25 // 1000  # 400: 25 ms
SHIFT_SAMPLES = SAMPLE_RATE * 10 // 1000  # 160: 10 ms
FRAMES_PER_SECOND = SAMPLE_RATE // SHIFT_SAMPLES

_FFT_SAMPLES = 512  # the power of two after FRAME_SAMPLES
_LOWEST_HZ = 20.0
_PREEMPHASIS = np.float32(0.97)
_SPEECH_BAND = slice(10, 50)  # filters around 300 to 2,700 Hz
_ABOVE_TELEPHONE = slice(62, 70)  # around 4,300 to 5,500 Hz
_FLOOR = np.finfo(np.float32).eps  # of a filter's energy, before the logarithm


def fbank(samples: NDArray[np.int16]) -> NDArray[np.float32]:
    """Logarithmic energies of 80 mel filters, shape (frames, 80); the mean is not subtracted.

    samples: shape (n,), 16 kHz mono. Only whole frames count: there are 1 + (n - 400) // 160, none below 400 samples.
    """
    if len(samples) < FRAME_SAMPLES:
        return np.empty((0, MELS), np.float32)
    signal = samples.astype(np.float32) / np.float32(INT16_SCALE)
    frames = sliding_window_view(signal, FRAME_SAMPLES)[::SHIFT_SAMPLES]
    frames = frames - frames.mean(axis=1, keepdims=True)
    before = np.concatenate((frames[:, :1], frames[:, :-1]), axis=1)
    windowed = (frames - _PREEMPHASIS * before) * _POVEY
    spectrum = np.fft.rfft(windowed, _FFT_SAMPLES, axis=1)
    power = spectrum.real**2 + spectrum.imag**2
    energies: NDArray[np.float32] = power[:, : _FFT_SAMPLES // 2].astype(np.float32) @ _FILTERS
    return np.asarray(np.log(np.maximum(energies, _FLOOR)), np.float32)


def band_gap(mel: NDArray[np.float32]) -> float:
    """How much less energy there is above the telephone's band than in it, in natural logarithms; about 10 if none is.

    mel: of speech, shape (frames, 80), at least one frame.
    """
    return float(mel[:, _SPEECH_BAND].mean() - mel[:, _ABOVE_TELEPHONE].mean())


def _mel(hertz: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(1127.0 * np.log1p(hertz / 700.0), np.float64)


def _filters() -> NDArray[np.float32]:
    """Triangles of equal width on the mel scale up to half the sample rate, shape (256, 80)."""
    lowest, highest = _mel(np.array([_LOWEST_HZ, SAMPLE_RATE / 2]))
    width = (highest - lowest) / (MELS + 1)
    left = lowest + width * np.arange(MELS)
    bins = _mel(np.linspace(0, SAMPLE_RATE / 2, _FFT_SAMPLES // 2, endpoint=False))[:, None]
    rising, falling = (bins - left) / width, (left + 2 * width - bins) / width
    return np.asarray(np.maximum(0.0, np.minimum(rising, falling)), np.float32)


_FILTERS = _filters()
_POVEY = (np.hanning(FRAME_SAMPLES) ** 0.85).astype(np.float32)  # Kaldi's window, named after its author
