"""Fixtures shared by the tests of single modules."""

from collections.abc import Callable
from pathlib import Path

import pytest

from media.upload import Upload
from settings import Settings


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(temp_dir=tmp_path / "uploads", whisper_model_dir=tmp_path / "models", whisper_model="demo")


@pytest.fixture
def uploaded() -> Callable[..., Upload]:
    """A file on disk as an upload, under any name and declared type."""

    def make(path: Path, filename: str = "", content_type: str = "") -> Upload:
        return Upload(path, "0" * 64, path.stat().st_size, filename, content_type)

    return make
