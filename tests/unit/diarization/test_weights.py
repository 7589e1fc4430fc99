"""The files of the models."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

import pytest

from transcription.core.default_folders import EMBEDDED_MODEL_DIR
from transcription.core.errors import ModelUnavailable
from transcription.diarization.sessions import OnnxSpeakerModels
from transcription.diarization.weights import SEGMENTATION, weights_folder

MEGABYTE = 1_000_000


@pytest.fixture
def own_weights(tmp_path: Path, embedded_weights: Path) -> Path:
    """A folder of weights in a WHISPER_MODEL_DIR, which is its parent."""
    return Path(shutil.copytree(embedded_weights, tmp_path / "diarization"))


def test_the_embedded_weights_are_used_if_there_are_no_others(tmp_path: Path, embedded_weights: Path) -> None:
    assert weights_folder(tmp_path) == embedded_weights


def test_a_folder_in_the_model_directory_takes_their_place(own_weights: Path) -> None:
    assert weights_folder(own_weights.parent) == own_weights


def test_the_embedded_weights_are_at_most_20_megabytes(embedded_weights: Path) -> None:
    assert sum(path.stat().st_size for path in embedded_weights.glob("*.onnx")) <= 20 * MEGABYTE


def test_the_embedded_weights_have_their_licences_beside_them() -> None:
    folder = EMBEDDED_MODEL_DIR / "diarization"
    assert "MIT License" in (folder / "LICENSE-segmentation").read_text()
    assert "Apache License" in (folder / "LICENSE-embedding").read_text()


def test_damaged_weights_are_refused(own_weights: Path) -> None:
    content = bytearray((own_weights / SEGMENTATION).read_bytes())
    content[len(content) // 2] ^= 1
    (own_weights / SEGMENTATION).write_bytes(content)

    with pytest.raises(ModelUnavailable, match="damaged"):
        OnnxSpeakerModels(own_weights.parent)


@pytest.mark.parametrize("name", ["segmentation.onnx", "embedding.onnx", "SHA256SUMS"])
def test_missing_files_are_named(own_weights: Path, name: str) -> None:
    (own_weights / name).unlink()

    with pytest.raises(ModelUnavailable, match="incomplete"):
        OnnxSpeakerModels(own_weights.parent)


def test_a_file_that_is_no_model_is_refused(own_weights: Path) -> None:
    (own_weights / SEGMENTATION).write_bytes(b"no model")
    digest = hashlib.sha256(b"no model").hexdigest()
    (own_weights / "SHA256SUMS").write_text(f"{digest}  {SEGMENTATION}\n")

    with pytest.raises(ModelUnavailable, match="cannot be loaded"):
        OnnxSpeakerModels(own_weights.parent)
