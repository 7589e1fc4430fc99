"""Accepted files are kept until no job names them."""

from __future__ import annotations

import asyncio
import os
import stat
from pathlib import Path

import pytest

from jobs.job import Recording
from jobs.spool import Spool
from media.upload import Upload

GRACE = 3600.0  # seconds
SOUND = b"sound"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "jobs" / "spool"


@pytest.fixture
def spool(folder: Path) -> Spool:
    return Spool(folder)


@pytest.fixture
def upload(tmp_path: Path) -> Upload:
    path = tmp_path / "upload-1"
    path.write_bytes(SOUND)
    return Upload(path, "a" * 64, len(SOUND), "talk.mp3", "audio/mpeg")


def names(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


def test_a_kept_upload_is_moved_and_not_copied(spool: Spool, upload: Upload, folder: Path) -> None:
    before, inode = upload.path, upload.path.stat().st_ino
    asyncio.run(spool.keep(upload, "one"))
    assert not before.exists()
    assert (folder / "one").stat().st_ino == inode


def test_a_kept_upload_comes_back_as_it_was(spool: Spool, upload: Upload) -> None:
    recording = asyncio.run(spool.keep(upload, "one"))
    again = spool.upload_of(recording)
    assert again.path.read_bytes() == SOUND
    assert (again.sha256, again.size, again.filename, again.content_type) == (
        "a" * 64,
        len(SOUND),
        "talk.mp3",
        "audio/mpeg",
    )


def test_only_the_service_may_look_into_the_spool(spool: Spool, folder: Path) -> None:
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_removing_a_file_that_is_gone_is_no_error(spool: Spool, upload: Upload, folder: Path) -> None:
    asyncio.run(spool.keep(upload, "one"))
    asyncio.run(spool.remove("one"))
    asyncio.run(spool.remove("one"))
    assert not list(folder.iterdir())


def test_a_sweep_takes_what_no_job_names(spool: Spool, folder: Path) -> None:
    (folder / "needed").touch()
    (folder / "left").touch()
    assert asyncio.run(spool.sweep(frozenset({"needed"}), grace_seconds=-1)) == 1
    assert names(folder) == ["needed"]


def test_a_sweep_leaves_a_file_whose_job_is_about_to_be_written_down(
    spool: Spool, upload: Upload, folder: Path
) -> None:
    os.utime(upload.path, (0, 0))  # the upload itself took long
    asyncio.run(spool.keep(upload, "new"))
    assert asyncio.run(spool.sweep(frozenset(), GRACE)) == 0
    assert names(folder) == ["new"]


def test_an_upload_that_cannot_be_kept_stays_where_it_is(spool: Spool, upload: Upload, folder: Path) -> None:
    before = upload.path
    folder.rmdir()
    with pytest.raises(FileNotFoundError):
        asyncio.run(spool.keep(upload, "one"))
    assert upload.path == before
    assert before.exists()


@pytest.mark.parametrize("name", ["../upload-1", "/etc/passwd", "a/b", "", ".."])
def test_a_name_leads_nowhere_else(spool: Spool, name: str) -> None:
    with pytest.raises(ValueError, match="no name"):
        spool.upload_of(Recording(name, "", 0))
