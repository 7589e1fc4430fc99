"""What is checked before any process starts."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from transcription.api.start_checks import addresses, check_settings
from transcription.core.default_folders import EMBEDDED_MODEL_DIR
from transcription.core.settings import Settings


@pytest.fixture
def own_weights(tmp_path: Path) -> Path:
    """Weights for telling speakers apart in a WHISPER_MODEL_DIR, which is their parent."""
    return Path(shutil.copytree(EMBEDDED_MODEL_DIR / "diarization", tmp_path / "models" / "diarization"))


@pytest.fixture
def settings(tmp_path: Path, own_weights: Path) -> Settings:
    folders = {"temp_dir": tmp_path / "temp", "jobs_dir": tmp_path / "jobs", "cache_dir": tmp_path / "cache"}
    for folder in folders.values():
        folder.mkdir()
    return Settings(whisper_model="demo", whisper_model_dir=own_weights.parent, _env_file=None, **folders)


def test_whole_weights_for_telling_speakers_apart_are_accepted(settings: Settings) -> None:
    check_settings(settings)


def test_a_start_says_where_to_go_and_what_is_served(settings: Settings) -> None:
    with capture_logs() as lines:
        check_settings(settings)
    [line] = [each for each in lines if each["event"] == "starting"]
    assert (line["page"], line["model"]) == ("http://localhost:3000/ui", "demo")


@pytest.mark.parametrize(
    ("host", "prefix", "page"),
    [
        ("0.0.0.0", "", "http://localhost:8080/ui"),
        ("::", "/speech", "http://localhost:8080/speech/ui"),
        ("192.0.2.7", "", "http://192.0.2.7:8080/ui"),
        ("2001:db8::7", "", "http://[2001:db8::7]:8080/ui"),
    ],
)
def test_the_addresses_are_those_that_a_person_on_this_machine_uses(
    settings: Settings, host: str, prefix: str, page: str
) -> None:
    changed = settings.model_copy(update={"host": host, "port": 8080, "root_path": prefix})
    assert addresses(changed)["page"] == page


@pytest.mark.parametrize("name", ["segmentation.onnx", "embedding.onnx"])
def test_damaged_weights_for_telling_speakers_apart_prevent_the_start(
    settings: Settings, own_weights: Path, name: str
) -> None:
    (own_weights / name).write_bytes(b"not these")
    with pytest.raises(SystemExit, match=rf"diarization/{name} is damaged: its SHA-256 .* Copy it again"):
        check_settings(settings)


def test_incomplete_weights_for_telling_speakers_apart_prevent_the_start(settings: Settings, own_weights: Path) -> None:
    (own_weights / "SHA256SUMS").unlink()
    with pytest.raises(SystemExit, match=r"needs segmentation.onnx, embedding.onnx and SHA256SUMS"):
        check_settings(settings)
