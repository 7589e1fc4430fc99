"""No other user can read the database, its log, its backups or the recordings, older folders included."""

from __future__ import annotations

import asyncio
import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.leftovers import files_under
from tests.unit.jobs.store.support import RESULT_TTL, Calls, new_job
from transcription.core.settings import Settings
from transcription.jobs.recordings.folder import FolderStore
from transcription.jobs.store.sqlite.database import DATABASE_NAME
from transcription.jobs.store.sqlite.store import SqliteStore
from transcription.media.intake.upload import Upload

JOB = "00000000-0000-0000-0000-000000000001"


@pytest.fixture(autouse=True)
def an_open_mask() -> Iterator[None]:
    before = os.umask(0)
    yield
    os.umask(before)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """As `mkdir` leaves it for a volume."""
    folder = tmp_path / "jobs"
    folder.mkdir(0o755)
    return folder


def modes(folder: Path) -> set[int]:
    return {stat.S_IMODE(path.stat().st_mode) for path in files_under(folder)}


def test_a_new_database_in_a_folder_that_was_there_before_is_private(folder: Path) -> None:
    store = Calls(SqliteStore(folder, result_ttl=RESULT_TTL))
    store.submit(new_job("a", "work"))
    store.back_up()
    assert {path.name for path in files_under(folder)} >= {DATABASE_NAME, f"{DATABASE_NAME}-wal"}
    assert modes(folder) == {0o600}
    assert stat.S_IMODE(folder.stat().st_mode) == stat.S_IMODE((folder / "backups").stat().st_mode) == 0o700
    store.close()


def test_a_database_of_an_older_version_becomes_private_with_its_log_and_backups(folder: Path) -> None:
    first = Calls(SqliteStore(folder, result_ttl=RESULT_TTL))
    first.submit(new_job("a", "work"))
    first.back_up()
    for path in files_under(folder):
        path.chmod(0o644)
    (folder / "backups").chmod(0o755)
    second = Calls(SqliteStore(folder, result_ttl=RESULT_TTL))
    second.back_up()
    assert modes(folder) == {0o600}
    assert stat.S_IMODE((folder / "backups").stat().st_mode) == 0o700
    second.close()
    first.close()


def test_a_folder_with_files_of_others_keeps_its_rights_and_the_database_is_private(folder: Path) -> None:
    (folder / "holidays.mp3").write_bytes(b"")
    (folder / "holidays.mp3").chmod(0o644)
    Calls(SqliteStore(folder, result_ttl=RESULT_TTL)).close()
    assert stat.S_IMODE(folder.stat().st_mode) == 0o755
    assert stat.S_IMODE((folder / "holidays.mp3").stat().st_mode) == 0o644
    assert stat.S_IMODE((folder / DATABASE_NAME).stat().st_mode) == 0o600


def test_the_folders_that_containers_keep_beside_the_database_are_not_those_of_others(folder: Path) -> None:
    for name in ("cache", "spool", "uploads"):
        (folder / name).mkdir()
    Calls(SqliteStore(folder, result_ttl=RESULT_TTL)).close()
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_a_spool_that_was_there_before_becomes_private_with_its_recordings(folder: Path, settings: Settings) -> None:
    (folder / JOB).write_bytes(b"sound")
    FolderStore(folder, settings)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert modes(folder) == {0o600}


def test_a_recording_that_was_copied_from_another_disk_is_private(
    folder: Path, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def another_disk(_: Upload, __: Path) -> None:
        raise OSError(errno.EXDEV, "Invalid cross-device link")

    monkeypatch.setattr(Upload, "keep_as", another_disk)
    path = tmp_path / "upload"
    path.write_bytes(b"sound")
    asyncio.run(FolderStore(folder, settings).keep(Upload(path, "", 5), JOB))
    assert (folder / JOB).read_bytes() == b"sound"
    assert modes(folder) == {0o600}
