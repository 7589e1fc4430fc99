"""The demonstration uses released weights where they can be had, and says which it used."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts import demo
from transcription.core.errors import ModelUnavailable
from transcription.core.settings import Settings


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(_env_file=None, whisper_model_dir=tmp_path)


def test_base_is_used_when_it_is_there(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    (settings.whisper_model_dir / "base").mkdir()
    for name in ("model.bin", "config.json"):
        (settings.whisper_model_dir / "base" / name).touch()

    assert demo.choose_model(settings) == "base"
    assert "Model: base" in capsys.readouterr().out


def test_base_is_downloaded_when_it_is_missing(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    fetched: list[str] = []
    monkeypatch.setattr(demo, "fetch_model", lambda name, *_, **__: fetched.append(name))

    assert demo.choose_model(settings) == "base"
    assert fetched == ["base"]


def test_the_embedded_model_is_used_offline_and_the_reason_given(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def unreachable(*_: object, **__: object) -> None:
        raise ModelUnavailable("No model.", detail="the index is far away")

    monkeypatch.setattr(demo, "fetch_model", unreachable)

    assert demo.choose_model(settings) == "demo"
    said = capsys.readouterr().out
    assert "Model: demo" in said and "the index is far away" in said


def test_the_embedded_model_can_be_asked_for(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    assert demo.choose_model(settings.model_copy(update={"whisper_model": "demo"})) == "demo"
    assert "WHISPER_MODEL names it" in capsys.readouterr().out


def test_a_model_that_was_asked_for_and_cannot_be_had_ends_the_demonstration_with_what_to_do(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("WHISPER_MODEL_DIR", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")  # nothing listens there

    assert demo.main(["--model", "small"]) == 1
    assert "scripts.download_models --model small --output DIR" in capsys.readouterr().err

    assert demo.main(["--model", "smal"]) == 1
    assert "No model is named 'smal'" in capsys.readouterr().err


def test_the_end_says_how_to_get_a_real_model_if_the_embedded_one_was_used() -> None:
    assert "scripts.download_models --model base" in demo.farewell("demo")
    assert "`make serve` runs the service with base" in demo.farewell("base")
    assert "`WHISPER_MODEL=small make serve`" in demo.farewell("small")
