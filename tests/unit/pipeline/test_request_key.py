"""The key of a request, by which requests share work."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.unit.jobs.store.support import REQUEST
from transcription.core.languages import Script
from transcription.core.settings import Settings
from transcription.media.intake.upload import Upload
from transcription.pipeline import request_key as computing
from transcription.pipeline.request_key import request_key


@pytest.fixture
def upload(tmp_path: Path) -> Upload:
    path = tmp_path / "a"
    path.write_bytes(b"a")
    return Upload(path, "0" * 64, 1, "a.mp3", "audio/mpeg")


def key(upload: Upload, caller: str) -> str:
    return request_key(upload, REQUEST, Settings(_env_file=None), caller)


def test_equal_requests_of_two_callers_have_different_keys(upload: Upload) -> None:
    assert len({key(upload, caller) for caller in ("ada", "bob", "")}) == 3


@pytest.mark.parametrize(
    "change",
    [
        {"app_version": "2"},
        {"whisper_device": "cpu"},
        {"whisper_compute_type": "float32"},
        {"max_duration": 60},
        {"ffmpeg_path": Path("/opt/ffmpeg")},
    ],
)
def test_a_result_belongs_to_the_settings_that_computed_it(upload: Upload, change: dict[str, object]) -> None:
    settings = Settings(_env_file=None)
    changed = settings.model_copy(update=change)
    assert request_key(upload, REQUEST, changed, "") != request_key(upload, REQUEST, settings, "")


def test_a_result_belongs_to_the_versions_that_computed_it(upload: Upload, monkeypatch: pytest.MonkeyPatch) -> None:
    before = key(upload, "")
    monkeypatch.setattr(computing, "libraries", lambda: ("another",))
    assert key(upload, "") != before


def test_a_result_belongs_to_the_weights_that_computed_it(upload: Upload, tmp_path: Path) -> None:
    settings = Settings(_env_file=None, whisper_model_dir=tmp_path)
    request = replace(REQUEST, decode=replace(REQUEST.decode, model="own"))
    weights = tmp_path / "own" / "model.bin"
    weights.parent.mkdir()
    weights.write_bytes(b"old")
    before = request_key(upload, request, settings, "")
    assert request_key(upload, request, settings, "") == before
    weights.write_bytes(b"newer")
    assert request_key(upload, request, settings, "") != before


def test_the_scripts_of_chinese_have_different_keys(upload: Upload) -> None:
    requests = [replace(REQUEST, script=script) for script in (None, *Script)]
    assert len({request_key(upload, each, Settings(_env_file=None), "") for each in requests}) == 3


def test_equal_requests_of_one_caller_have_the_same_key(upload: Upload) -> None:
    assert key(upload, "ada") == key(upload, "ada")
