"""Fixtures shared by the tests of single modules."""

import csv
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from faster_whisper import decode_audio
from numpy.typing import NDArray

from transcription.core.audio import WINDOW_SAMPLES
from transcription.core.settings import Settings
from transcription.media.intake.upload import Upload

SAMPLES = Path(__file__).resolve().parents[2] / "samples"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(temp_dir=tmp_path / "uploads", whisper_model_dir=tmp_path / "models", whisper_model="demo")


@pytest.fixture
def uploaded() -> Callable[..., Upload]:
    """A file on disk as an upload, under any name and declared type."""

    def make(path: Path, filename: str = "", content_type: str = "") -> Upload:
        return Upload(path, "0" * 64, path.stat().st_size, filename, content_type)

    return make


@pytest.fixture(scope="session")
def recordings() -> dict[str, NDArray[np.int16]]:
    """Every sample, by its file name, as one window."""
    with (SAMPLES / "transcripts.tsv").open(newline="") as table:
        names = [row["file"] for row in csv.DictReader(table, delimiter="\t")]
    return {name: (decode_audio(str(SAMPLES / name)) * 32768).astype(np.int16)[:WINDOW_SAMPLES] for name in names}
