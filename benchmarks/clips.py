"""The recordings to transcribe: real speech, from one utterance on, repeated or cut to a duration."""

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
SPEECH = ROOT / "tests" / "data" / "speech"
SAMPLES = ROOT / "samples"
AUDIO = {".flac", ".wav", ".mp3", ".ogg", ".m4a"}
INT16_MAX = 32767
# In SPEECH. A model follows the language that it detects, the first; base then fails its thresholds on the second, with
# short encoder contexts as well as with full ones. Of other pairs it makes something up without noticing.
TWO_LANGUAGES = ("de.flac", "es.flac")

Samples = NDArray[np.int16]  # shape (n,), 16 kHz mono


@dataclass(frozen=True, slots=True)
class Clip:
    """A WAV file, 16 kHz mono. seconds: its duration."""

    path: Path
    seconds: float


def utterances() -> list[Samples]:
    """English utterances of people: the shared recordings if they are present, else those in the repository."""
    # Not the samples: their voice is a synthesiser's, and released models are unsure of it.
    files = _recordings(SHARED_SPEECH) if SHARED_SPEECH.is_dir() else SPEECH.glob("[0-9]*")
    return [read(path) for path in sorted(files)]


def speech(folder: Path | None = None) -> Samples:
    """All recordings of a folder, concatenated, or all utterances."""
    return np.concatenate([read(path) for path in sorted(_recordings(folder))] if folder else utterances())


def make_clips(source: Sequence[Samples], seconds: float, count: int, folder: Path) -> tuple[Clip, ...]:
    """Write different clips of one duration into `folder`, each from the start of another utterance on.

    There are fewer than `count` if there are fewer utterances in the source.
    """
    count = min(count, len(source))
    starts = (number * len(source) // count for number in range(count))
    return tuple(
        write_clip(np.concatenate([*source[start:], *source[:start]]), seconds, folder, number)
        for number, start in enumerate(starts)
    )


def bilingual_clip(folder: Path) -> Clip:
    """Write a clip of 14 s that changes the language within its only window into `folder`."""
    source = np.concatenate([read(SPEECH / name) for name in TWO_LANGUAGES])
    return write_clip(source, len(source) / SAMPLE_RATE, folder)


def write_clip(source: Samples, seconds: float, folder: Path, number: int = 0) -> Clip:
    """Write the source, repeated or cut to `seconds`. number: tells clips of the same duration apart."""
    path = folder / f"{seconds:g}s-{number}.wav"
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(SAMPLE_RATE)
        file.writeframes(np.resize(source, round(seconds * SAMPLE_RATE)).tobytes())
    return Clip(path, seconds)


def _recordings(folder: Path) -> list[Path]:
    return [path for path in folder.iterdir() if path.suffix in AUDIO]


def read(path: Path) -> Samples:
    """A recording."""
    return np.asarray(np.clip(decode_audio(str(path), SAMPLE_RATE), -1, 1) * INT16_MAX, np.int16)
