"""The recordings to transcribe: real speech, repeated or cut to a duration."""

from __future__ import annotations

import wave
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from faster_whisper.audio import decode_audio
from numpy.typing import NDArray

from tests.support.service import ROOT
from transcription.core.audio import SAMPLE_RATE

SHARED_SPEECH = ROOT.parent / "shared" / "data" / "speech"
SAMPLES = ROOT / "samples"
AUDIO = {".flac", ".wav", ".mp3", ".ogg", ".m4a"}
INT16_MAX = 32767


@dataclass(frozen=True, slots=True)
class Clip:
    """A WAV file, 16 kHz mono. seconds: its duration."""

    path: Path
    seconds: float


def speech(folder: Path = SHARED_SPEECH) -> NDArray[np.int16]:
    """All recordings of a folder, concatenated: int16, shape (n,), 16 kHz mono.

    The default is the shared recordings if they are present, else samples/.
    """
    folder = folder if folder.is_dir() else SAMPLES
    files = sorted(path for path in folder.iterdir() if path.suffix in AUDIO)
    samples = np.concatenate([decode_audio(str(path), SAMPLE_RATE) for path in files])
    return np.asarray(np.clip(samples, -1, 1) * INT16_MAX, np.int16)


def make_clips(lengths: Sequence[float], folder: Path) -> dict[float, Clip]:
    """Write one file per duration (seconds) into `folder`."""
    source = speech()
    return {seconds: write_clip(source, seconds, folder) for seconds in lengths}


def write_clip(source: NDArray[np.int16], seconds: float, folder: Path) -> Clip:
    """Write the source, repeated or cut to `seconds`."""
    path = folder / f"{seconds:g}s.wav"
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(SAMPLE_RATE)
        file.writeframes(np.resize(source, round(seconds * SAMPLE_RATE)).tobytes())
    return Clip(path, seconds)
