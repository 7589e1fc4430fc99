"""Recordings in a folder: the contract of every recording store, and the file system."""

from __future__ import annotations

import asyncio
import errno
import os
import shutil
import stat
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.unit.jobs.recordings.contract import (
    GRACE,
    LEFT,
    NEEDED,
    NO_GRACE,
    SOUND,
    CopyContract,
    Names,
    RecordingStoreContract,
    arrived,
    content_of,
)
from transcription.core.errors import InsufficientStorage, ServiceUnavailable
from transcription.core.settings import InvalidSettings, Settings
from transcription.jobs.recordings.folder import TEMPORARY_PREFIX, FolderStore
from transcription.jobs.recordings.open import open_recordings, recordings_folder, with_uploads_beside_jobs
from transcription.media.intake.upload import Upload
from transcription.media.intake.uploads_folder import uploads_folder

OTHER_DISK = Path("/dev/shm")  # a file system of its own nearly everywhere


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "jobs" / "spool"


@pytest.fixture
def elsewhere(tmp_path: Path) -> Iterator[Path]:
    """A folder on another file system than tmp_path."""
    if not OTHER_DISK.is_dir() or OTHER_DISK.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("There is only one file system here.")
    path = Path(tempfile.mkdtemp(dir=OTHER_DISK))
    yield path
    shutil.rmtree(path)


@pytest.fixture
def recordings(folder: Path, settings: Settings) -> FolderStore:
    return FolderStore(folder, settings)


@pytest.fixture
def names(folder: Path) -> Names:
    return lambda: [path.name for path in folder.iterdir()]


class TestFolderStore(RecordingStoreContract):
    pass


class TestFolderStoreOnAnotherFileSystem(RecordingStoreContract, CopyContract):
    @pytest.fixture
    def folder(self, elsewhere: Path) -> Path:
        return elsewhere / "spool"

    def test_an_upload_that_cannot_be_copied_stays_and_leaves_no_partial_copy(
        self, recordings: FolderStore, settings: Settings, names: Names
    ) -> None:
        upload = arrived(settings.temp_dir)
        (recordings._folder / NEEDED).mkdir()  # in the way of the last step
        with pytest.raises(ServiceUnavailable):
            asyncio.run(recordings.keep(upload, NEEDED))
        assert upload.path.read_bytes() == SOUND
        assert names() == [NEEDED]


def test_a_kept_upload_is_moved_and_not_copied(recordings: FolderStore, settings: Settings, folder: Path) -> None:
    upload = arrived(settings.temp_dir)
    inode = upload.path.stat().st_ino
    asyncio.run(recordings.keep(upload, NEEDED))
    assert (folder / NEEDED).stat().st_ino == inode


def test_a_borrowed_file_is_the_file_itself(recordings: FolderStore, settings: Settings, folder: Path) -> None:
    async def where() -> Path:
        async with recordings.borrowed(await recordings.keep(arrived(settings.temp_dir), NEEDED)) as upload:
            return upload.path

    assert asyncio.run(where()) == folder / NEEDED


@pytest.fixture
def mounted_twice(tmp_path: Path) -> Iterator[Path]:
    """A second mount of the same disk, as with two volumes of a container."""
    source, target = tmp_path / "volume", tmp_path / "mounted"
    source.mkdir()
    target.mkdir()
    if os.geteuid() != 0 or subprocess.run(["mount", "--bind", source, target], check=False).returncode:
        pytest.skip("needs root, and leave to mount")
    assert target.stat().st_dev == tmp_path.stat().st_dev
    yield target
    subprocess.run(["umount", target], check=True)


class TestFolderStoreOnAnotherMountOfTheSameDisk(RecordingStoreContract, CopyContract):
    @pytest.fixture
    def folder(self, mounted_twice: Path) -> Path:
        return mounted_twice / "spool"


def test_only_the_services_user_can_read_the_folder(recordings: FolderStore, folder: Path) -> None:
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_the_grace_period_of_a_sweep_begins_at_the_end_of_the_upload(
    recordings: FolderStore, settings: Settings, names: Names
) -> None:
    upload = arrived(settings.temp_dir)
    os.utime(upload.path, (0, 0))  # the upload itself took long
    asyncio.run(recordings.keep(upload, LEFT))
    assert asyncio.run(recordings.sweep(frozenset(), GRACE)) == 0
    assert names() == [LEFT]


def test_a_sweep_deletes_old_partial_copies_and_spares_recent_ones(
    recordings: FolderStore, folder: Path, names: Names
) -> None:
    (folder / f"{TEMPORARY_PREFIX}1").touch()
    assert asyncio.run(recordings.sweep(frozenset(), GRACE)) == 0
    time.sleep(0.05)
    assert asyncio.run(recordings.sweep(frozenset(), 0.01)) == 1
    assert names() == []


def test_an_upload_that_cannot_be_kept_stays_where_it_is(
    recordings: FolderStore, settings: Settings, folder: Path
) -> None:
    upload = arrived(settings.temp_dir)
    before = upload.path
    folder.rmdir()
    with pytest.raises(ServiceUnavailable, match="SPOOL_URL"):
        asyncio.run(recordings.keep(upload, NEEDED))
    assert upload.path == before
    assert before.exists()


def test_no_recording_is_lost_while_the_folder_is_unmounted(
    recordings: FolderStore, settings: Settings, folder: Path
) -> None:
    recording = asyncio.run(recordings.keep(arrived(settings.temp_dir), NEEDED))
    folder.rename(folder.with_name("unmounted"))
    with pytest.raises(ServiceUnavailable, match="mounted"):
        asyncio.run(content_of(recordings, recording))
    with pytest.raises(ServiceUnavailable, match="mounted"):
        asyncio.run(recordings.sweep(frozenset(), NO_GRACE))
    with pytest.raises(ServiceUnavailable, match="mounted"):
        asyncio.run(recordings.check())


def test_a_folder_that_cannot_be_created_fails_at_the_start(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    settings.spool_url = str(tmp_path / "file" / "spool")
    with pytest.raises(ServiceUnavailable, match="SPOOL_URL"):
        open_recordings(settings)


def test_recordings_are_beside_the_jobs_by_default(settings: Settings) -> None:
    assert recordings_folder(settings) == settings.jobs_dir / "spool"


@pytest.mark.parametrize("url", ["{}/a b", "file://{}/a b", "file://localhost{}/a%20b"])
def test_a_folder_is_given_as_a_path_or_as_a_url(settings: Settings, tmp_path: Path, url: str) -> None:
    settings.spool_url = url.format(tmp_path)
    assert isinstance(open_recordings(settings), FolderStore)
    assert (tmp_path / "a b").is_dir()


@pytest.mark.parametrize("url", ["file://server/share", "file://"])
def test_a_file_url_of_another_machine_is_refused(settings: Settings, url: str) -> None:
    settings.spool_url = url
    with pytest.raises(InvalidSettings, match="SPOOL_URL"):
        open_recordings(settings)


def test_a_folder_may_be_a_symbolic_link(settings: Settings, tmp_path: Path, mounted_twice: Path) -> None:
    (tmp_path / "link").symlink_to(mounted_twice)
    recordings = FolderStore(tmp_path / "link", settings)

    async def where() -> Path:
        async with recordings.borrowed(await recordings.keep(arrived(settings.temp_dir), NEEDED)) as upload:
            return upload.path

    assert asyncio.run(where()).parent == uploads_folder(settings)


class TestWhereUploadsArrive:
    @pytest.fixture(autouse=True)
    def jobs_here(self, settings: Settings, tmp_path: Path) -> None:
        settings.jobs_dir = tmp_path / "jobs"

    def test_uploads_stay_on_the_disk_of_the_jobs(self, settings: Settings) -> None:
        assert with_uploads_beside_jobs(settings) is settings

    def test_uploads_move_to_the_disk_of_the_jobs(self, settings: Settings, elsewhere: Path) -> None:
        settings.temp_dir = elsewhere
        assert with_uploads_beside_jobs(settings).temp_dir == settings.jobs_dir / "uploads"

    def test_uploads_move_to_the_volume_of_the_jobs(self, settings: Settings, mounted_twice: Path) -> None:
        settings.jobs_dir = mounted_twice / "jobs"
        assert with_uploads_beside_jobs(settings).temp_dir == settings.jobs_dir / "uploads"

    def test_uploads_stay_on_the_disk_of_the_recordings(self, settings: Settings, elsewhere: Path) -> None:
        settings.temp_dir, settings.spool_url = elsewhere / "uploads", str(elsewhere / "spool")
        assert with_uploads_beside_jobs(settings) is settings

    def test_uploads_never_move_to_a_third_file_system(self, settings: Settings, elsewhere: Path) -> None:
        settings.spool_url = str(elsewhere)
        assert with_uploads_beside_jobs(settings) is settings

    def test_uploads_stay_when_recordings_go_to_an_object_store(self, settings: Settings, elsewhere: Path) -> None:
        settings.temp_dir, settings.spool_url = elsewhere, "s3://bucket"
        assert with_uploads_beside_jobs(settings) is settings


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_reported_as_such_and_the_upload_stays(
    recordings: FolderStore, settings: Settings, names: Names, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    def another_disk(_: Upload, __: Path) -> None:
        raise OSError(errno.EXDEV, "Invalid cross-device link")

    def full(*_: object) -> None:
        raise OSError(code, os.strerror(code))

    upload = arrived(settings.temp_dir)
    monkeypatch.setattr(Upload, "keep_as", another_disk)
    monkeypatch.setattr(shutil, "copyfileobj", full)
    with pytest.raises(InsufficientStorage, match="disk is full"):
        asyncio.run(recordings.keep(upload, NEEDED))
    assert names() == []
    assert upload.path.exists()


@pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo])
def test_what_is_not_a_file_does_not_end_the_sweep(
    recordings: FolderStore, settings: Settings, folder: Path, names: Names, make: Callable[[Path], None]
) -> None:
    asyncio.run(recordings.keep(arrived(settings.temp_dir), LEFT))
    make(folder / NEEDED)
    assert asyncio.run(recordings.sweep(frozenset(), NO_GRACE)) == 1
    assert names() == [NEEDED]


def test_an_error_with_one_recording_does_not_end_the_sweep(
    recordings: FolderStore, settings: Settings, names: Names, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in (NEEDED, LEFT):
        asyncio.run(recordings.keep(arrived(settings.temp_dir), name))
    unlink = Path.unlink

    def not_permitted(path: Path, **options: bool) -> None:
        if path.name == NEEDED:
            raise PermissionError(errno.EPERM, "Operation not permitted")
        unlink(path, **options)

    monkeypatch.setattr(Path, "unlink", not_permitted)
    assert asyncio.run(recordings.sweep(frozenset(), NO_GRACE)) == 1
    assert names() == [NEEDED]
