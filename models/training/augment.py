"""Augmentation of audio: rooms, microphones, noise and levels. Audio is float32, -1..1, at SAMPLE_RATE."""

from __future__ import annotations

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from models.training.speech import SAMPLE_RATE

Audio = NDArray[np.float32]


def fast_length(length: int) -> int:
    """The next multiple of 4096: an FFT of a length with large prime factors is many times slower."""
    return -(-length // 4096) * 4096


def coloured_noise(length: int, rng: Generator) -> Audio:
    """Noise of unit variance with a random spectral slope, from white to brown."""
    size = fast_length(length)
    spectrum = np.fft.rfft(rng.standard_normal(size).astype(np.float32))
    slope = rng.uniform(0.0, 1.0)
    spectrum *= np.maximum(1.0, np.arange(len(spectrum))) ** -slope
    noise = np.fft.irfft(spectrum, size)[:length]
    return (noise / (noise.std() + 1e-9)).astype(np.float32)


def reverberate(audio: Audio, rng: Generator) -> Audio:
    """The sound of a small room. The impulse response is exponentially decaying noise of 0.05 to 0.35 s."""
    decay = rng.uniform(0.05, 0.35)
    length = int(decay * SAMPLE_RATE)
    response = rng.standard_normal(length) * np.exp(-6.9 * np.arange(length) / length) * rng.uniform(0.02, 0.12)
    response[0] = 1.0
    size = fast_length(len(audio) + length)
    wet = np.fft.irfft(np.fft.rfft(audio, size) * np.fft.rfft(response, size), size)[: len(audio)]
    return wet.astype(np.float32)


def filter_band(audio: Audio, rng: Generator) -> Audio:
    """The sound of a cheap microphone or a telephone: spectral tilt and band limits."""
    size = fast_length(len(audio))
    spectrum = np.fft.rfft(audio, size)
    frequency = np.linspace(0, SAMPLE_RATE / 2, len(spectrum))
    low, high = rng.uniform(0, 250), rng.uniform(3400, 8000)
    gain = 1 / (1 + (low / np.maximum(frequency, 1)) ** 4) / (1 + (frequency / high) ** 8)
    gain *= np.maximum(frequency, 50) ** rng.uniform(-0.35, 0.35)
    filtered = np.fft.irfft(spectrum * gain, size)[: len(audio)]
    return (filtered * (audio.std() / (filtered.std() + 1e-9))).astype(np.float32)


def augment(audio: Audio, rng: Generator) -> Audio:
    """A random combination of these effects, a random level, and sometimes clipping. Values stay within -1..1."""
    if rng.random() < 0.15:
        audio = reverberate(audio, rng)
    if rng.random() < 0.2:
        audio = filter_band(audio, rng)
    peak = float(np.abs(audio).max()) + 1e-9
    audio = audio * np.float32(10 ** rng.uniform(-1.3, 0.0) / peak)
    if rng.random() < 0.05:
        audio = np.clip(audio * 3, -1, 1) / 2
    if rng.random() < 0.5:
        level = float(np.sqrt(np.mean(audio**2))) * 10 ** (-rng.uniform(14, 42) / 20)
        audio = audio + coloured_noise(len(audio), rng) * np.float32(level)
    return np.clip(audio, -1, 1).astype(np.float32)


def not_speech(length: int, rng: Generator) -> Audio:
    """Silence, noise, hum, clicks or beeps."""
    kind = rng.random()
    if kind < 0.15:
        return np.zeros(length, np.float32)
    audio = coloured_noise(length, rng) * np.float32(10 ** rng.uniform(-4, -0.7))
    time = np.arange(length, dtype=np.float32) / SAMPLE_RATE
    if kind < 0.35:
        audio += np.sin(2 * np.pi * rng.uniform(40, 2000) * time, dtype=np.float32) * np.float32(
            10 ** rng.uniform(-3, -0.5)
        )
    if kind > 0.85:
        for _ in range(rng.integers(1, 8)):
            at = int(rng.integers(0, max(1, length - 400)))
            audio[at : at + 200] += rng.standard_normal(len(audio[at : at + 200])).astype(np.float32) * 0.3
    return np.clip(audio, -1, 1)
