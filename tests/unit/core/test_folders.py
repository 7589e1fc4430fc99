"""Folders that cannot be used are refused at start, by the name of the setting."""

from __future__ import annotations

from pathlib import Path

import pytest

from transcription.core.folders import check_folders
from transcription.core.settings import InvalidSettings, Settings


@pytest.fixture
def unwritable(tmp_path: Path) -> Path:
    """A home in which no folder can be created, even by root."""
    home = tmp_path / "home"
    home.write_text("not a folder")
    return home


@pytest.fixture
def home(unwritable: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("XDG_CACHE_HOME", "XDG_DATA_HOME", "JOBS_DIR", "CACHE_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(unwritable))
    return unwritable


def test_an_unwritable_home_names_the_settings_to_change(home: Path) -> None:
    with pytest.raises(InvalidSettings) as stopped:
        check_folders(Settings())
    message = str(stopped.value)
    assert "Set JOBS_DIR to a folder that" in message
    assert "Set CACHE_DIR to a folder that" in message
    assert str(home) in message


def test_a_worker_that_stores_no_jobs_here_needs_no_jobs_folder(home: Path, tmp_path: Path) -> None:
    settings = Settings(
        job_backend="celery", redis_url="redis://localhost", spool_url=str(tmp_path), cache_dir=tmp_path / "cache"
    )
    check_folders(settings)
    assert (tmp_path / "cache").is_dir()


def test_folders_are_created(tmp_path: Path) -> None:
    check_folders(Settings(jobs_dir=tmp_path / "a" / "jobs", cache_dir=tmp_path / "b" / "cache"))
    assert (tmp_path / "a" / "jobs").is_dir()
    assert (tmp_path / "b" / "cache").is_dir()
