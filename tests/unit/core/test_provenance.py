"""What computed a stored value is recognized by versions, sources and model files."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from transcription.core import provenance
from transcription.core.default_folders import EMBEDDED_MODEL_DIR
from transcription.core.provenance import (
    NOT_RULES,
    SAMPLE_BYTES,
    SAMPLES,
    SPEAKER_RULES,
    TEXT_RULES,
    digest_of_model,
    digest_of_sources,
)
from transcription.core.settings import Settings
from transcription.pipeline.request_key import computed_by

LARGE = 2 * SAMPLES * SAMPLE_BYTES


@pytest.fixture
def model(tmp_path: Path) -> Path:
    folder = tmp_path / "own"
    folder.mkdir()
    (folder / "model.bin").write_bytes(bytes(LARGE))
    (folder / "config.json").write_text("{}")
    return folder


def test_a_copy_of_a_model_is_the_same_model(model: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(model, tmp_path / "copy" / "own")
    os.utime(copy / "model.bin", (1, 1))
    assert digest_of_model(copy) == digest_of_model(model) != ""


@pytest.mark.parametrize("place", [0, LARGE // 2, LARGE - 1])
def test_other_weights_of_the_same_size_are_another_model(model: Path, place: int) -> None:
    before = digest_of_model(model)
    weights = bytearray(LARGE)
    weights[place : place + 2 * SAMPLE_BYTES] = b"x" * len(weights[place : place + 2 * SAMPLE_BYTES])
    (model / "model.bin").write_bytes(weights)
    assert digest_of_model(model) != before


def test_another_tokenizer_is_another_model(model: Path) -> None:
    before = digest_of_model(model)
    (model / "tokenizer.json").write_text("{}")
    assert digest_of_model(model) != before


def test_a_model_that_is_not_there_has_no_digest(tmp_path: Path) -> None:
    assert digest_of_model(tmp_path / "none") == ""


def test_the_rules_are_the_sources_that_decide_on_the_text() -> None:
    covered = {path for pattern in TEXT_RULES for path in provenance.ROOT.glob(pattern)}
    for name in (
        "runners/decode/rules.py",
        "transcription/media/windows.py",
        "transcription/media/decode.py",
        "transcription/pipeline/hallucinations.py",
        "transcription/core/transcript.py",
    ):
        assert provenance.ROOT / name in covered


def test_a_changed_source_changes_the_digest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(provenance, "ROOT", tmp_path)
    source = tmp_path / "rules.py"
    source.write_text("A = 1")
    before = digest_of_sources(("*rules.py",))
    source.write_text("A = 2")
    assert digest_of_sources(("rules.*",)) != before


def test_a_changed_limit_on_memory_or_rule_of_live_sessions_keeps_the_results(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def digests() -> list[str]:
        digest_of_sources.cache_clear()
        return [digest_of_sources(TEXT_RULES), digest_of_sources(SPEAKER_RULES)]

    for folder in ("transcription/pipeline", "transcription/diarization"):
        shutil.copytree(provenance.ROOT / folder, tmp_path / folder)
    monkeypatch.setattr(provenance, "ROOT", tmp_path)
    before = digests()
    for name in NOT_RULES:
        with (tmp_path / name).open("a") as source:
            source.write("A = 1")
    assert digests() == before
    for name in ("transcription/pipeline/repetition.py", "transcription/diarization/people.py"):
        with (tmp_path / name).open("a") as source:
            source.write("A = 1")
    assert not set(digests()) & set(before)
    digest_of_sources.cache_clear()


def test_every_version_and_every_setting_that_changes_the_text_changes_the_key(
    model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Settings(whisper_model_dir=model.parent)
    keys = [computed_by("own", settings), computed_by("demo", settings)]
    keys.append(computed_by("own", settings.model_copy(update={"app_version": "0"})))
    keys.append(computed_by("own", settings.model_copy(update={"whisper_device": "cuda"})))
    keys.append(computed_by("own", settings.model_copy(update={"whisper_compute_type": "float32"})))
    keys.append(
        computed_by("own", settings.model_copy(update={"ffmpeg_path": EMBEDDED_MODEL_DIR / "demo/config.json"}))
    )
    for library in ("faster-whisper", "ctranslate2", "onnxruntime", "av"):
        provenance.libraries.cache_clear()
        with monkeypatch.context() as patch:
            patch.setattr(provenance, "version", lambda name, newer=library: "99" if name == newer else "1")
            keys.append(computed_by("own", settings))
    provenance.libraries.cache_clear()
    (model / "model.bin").write_bytes(b"another model")
    keys.append(computed_by("own", settings))
    assert len(set(keys)) == len(keys)


def test_settings_that_do_not_change_the_text_keep_the_key(model: Path) -> None:
    settings = Settings(whisper_model_dir=model.parent)
    others = settings.model_copy(update={"workers": 4, "port": 1, "job_timeout": 1, "whisper_layout": "2x1x4"})
    assert computed_by("own", settings) == computed_by("own", others)
