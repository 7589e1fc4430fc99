"""The embedded weights, and a conversation of two people."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from faster_whisper.audio import decode_audio
from numpy.typing import NDArray

from transcription.core.audio import SAMPLE_RATE
from transcription.core.default_folders import EMBEDDED_MODEL_DIR
from transcription.diarization.sessions import OnnxSpeakerModels

DATA = Path(__file__).parents[2] / "data" / "diarization"


@dataclass(frozen=True)
class Spoken:
    """samples: int16, 16 kHz. truth: start, end and speaker of each turn, in seconds."""

    samples: NDArray[np.int16]
    truth: tuple[tuple[float, float, str], ...]

    def cut(self, start: float, end: float) -> NDArray[np.int16]:
        return self.samples[int(start * SAMPLE_RATE) : int(end * SAMPLE_RATE)]


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> OnnxSpeakerModels:
    """Of a WHISPER_MODEL_DIR without weights of its own: the embedded ones."""
    return OnnxSpeakerModels(tmp_path_factory.mktemp("models"))


@pytest.fixture(scope="session")
def two_speakers() -> Spoken:
    rows = [line.split() for line in (DATA / "two-speakers.rttm").read_text().splitlines()]
    truth = tuple((float(row[3]), float(row[3]) + float(row[4]), row[7]) for row in rows)
    sound = decode_audio(str(DATA / "two-speakers.ogg"), SAMPLE_RATE)
    return Spoken((sound * 32767).astype(np.int16), truth)


@pytest.fixture
def embedded_weights() -> Path:
    return EMBEDDED_MODEL_DIR / "diarization"
