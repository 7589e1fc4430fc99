"""The key of a request, by which requests share work."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.jobs.store.support import REQUEST
from transcription.core.settings import Settings
from transcription.media.intake.upload import Upload
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


def test_equal_requests_of_one_caller_have_the_same_key(upload: Upload) -> None:
    assert key(upload, "ada") == key(upload, "ada")
