"""The benchmark measures released weights, unless a scripted checkpoint is asked for."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import weights
from benchmarks.weights import Weights, released, scripted
from runners.models.catalogue import REQUIRED_FILES
from transcription.core.default_folders import EMBEDDED_MODEL_DIR
from transcription.core.errors import ModelUnavailable, UnknownModel


def place(root: Path, name: str) -> Path:
    folder = root / name
    folder.mkdir()
    for file in REQUIRED_FILES:
        (folder / file).write_text("{}")
    return folder


@pytest.fixture
def unreachable(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither the model hub nor the package index can be reached."""

    def refuse(name: str, *_: object, **__: object) -> Path:
        raise ModelUnavailable(f"no {name}")

    monkeypatch.setattr(weights, "fetch_model", refuse)


@pytest.mark.usefixtures("unreachable")
@pytest.mark.parametrize(("quick", "name"), [(False, "base"), (True, "tiny.en")])
def test_a_model_on_disk_is_used(quick: bool, name: str, tmp_path: Path) -> None:
    folder = place(tmp_path, name)
    assert released(None, tmp_path, quick=quick) == Weights(folder)


def test_a_missing_model_is_fetched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights, "fetch_model", lambda name, settings, **_: place(settings.whisper_model_dir, name))
    assert released(None, tmp_path, quick=False).folder.name == "base"
    assert (tmp_path / "base" / "model.bin").is_file()


@pytest.mark.usefixtures("unreachable")
def test_a_quick_run_falls_back_on_the_embedded_model(tmp_path: Path) -> None:
    assert released(None, tmp_path, quick=True) == Weights(EMBEDDED_MODEL_DIR / "demo")


@pytest.mark.usefixtures("unreachable")
@pytest.mark.parametrize(("name", "quick"), [("small", True), ("small", False), (None, False)])
def test_no_other_model_is_replaced(name: str | None, quick: bool, tmp_path: Path) -> None:
    with pytest.raises(ModelUnavailable):
        released(name, tmp_path, quick=quick)


def test_a_scripted_checkpoint_is_decoded_on_full_contexts(tmp_path: Path) -> None:
    place(tmp_path, "tiny")
    settings = scripted(None, tmp_path, quick=True).settings()
    assert settings == {"WHISPER_MODEL": "tiny", "WHISPER_MODEL_DIR": str(tmp_path), "ENCODER_CONTEXT": "full"}
    assert "ENCODER_CONTEXT" not in Weights(tmp_path / "tiny").settings()


def test_there_is_no_scripted_checkpoint_of_an_unknown_size(tmp_path: Path) -> None:
    with pytest.raises(UnknownModel, match="Sizes: tiny, base"):
        scripted("tiny.en", tmp_path, quick=False)
