"""Accepted files are kept in a folder until no job names them."""

from __future__ import annotations

import asyncio
import os
import shutil
import stat
import subprocess
import tempfile
import time
from collections.abc import Iterator
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
    SpoolContract,
    arrived,
    content_of,
)
from transcription.core.errors import ServiceUnavailable
from transcription.core.settings import InvalidSettings, Settings
from transcription.jobs.recordings.folder import (
    TEMPORARY_PREFIX,
    FolderSpool,
    open_spool,
    spool_folder,
    with_uploads_beside_jobs,
)

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
def spool(folder: Path, settings: Settings) -> FolderSpool:
    return FolderSpool(folder, settings)


@pytest.fixture
def names(folder: Path) -> Names:
    return lambda: [path.name for path in folder.iterdir()]


class TestFolderSpool(SpoolContract):
    pass


class TestFolderSpoolOnAnotherFileSystem(SpoolContract, CopyContract):
    @pytest.fixture
    def folder(self, elsewhere: Path) -> Path:
        return elsewhere / "spool"

    def test_an_upload_that_cannot_be_copied_stays_and_leaves_nothing(
        self, spool: FolderSpool, settings: Settings, names: Names
    ) -> None:
        upload = arrived(settings.temp_dir)
        (spool._folder / NEEDED).mkdir()  # in the way of the last step
        with pytest.raises(ServiceUnavailable):
            asyncio.run(spool.keep(upload, NEEDED))
        assert upload.path.read_bytes() == SOUND
        assert names() == [NEEDED]


def test_a_kept_upload_is_moved_and_not_copied(spool: FolderSpool, settings: Settings, folder: Path) -> None:
    upload = arrived(settings.temp_dir)
    inode = upload.path.stat().st_ino
    asyncio.run(spool.keep(upload, NEEDED))
    assert (folder / NEEDED).stat().st_ino == inode


def test_a_borrowed_file_is_the_file_itself(spool: FolderSpool, settings: Settings, folder: Path) -> None:
    async def where() -> Path:
        async with spool.borrowed(await spool.keep(arrived(settings.temp_dir), NEEDED)) as upload:
            return upload.path

    assert asyncio.run(where()) == folder / NEEDED


@pytest.fixture
def mounted_twice(tmp_path: Path) -> Iterator[Path]:
    """A folder of the same disk that is mounted again, as two volumes of a container are."""
    source, target = tmp_path / "volume", tmp_path / "mounted"
    source.mkdir()
    target.mkdir()
    if os.geteuid() != 0 or subprocess.run(["mount", "--bind", source, target], check=False).returncode:
        pytest.skip("needs root, and leave to mount")
    assert target.stat().st_dev == tmp_path.stat().st_dev
    yield target
    subprocess.run(["umount", target], check=True)


class TestFolderSpoolOnAnotherMountOfTheSameDisk(SpoolContract, CopyContract):
    @pytest.fixture
    def folder(self, mounted_twice: Path) -> Path:
        return mounted_twice / "spool"


def test_only_the_service_may_look_into_the_spool(spool: FolderSpool, folder: Path) -> None:
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_the_grace_of_a_sweep_counts_from_the_end_of_the_upload(
    spool: FolderSpool, settings: Settings, names: Names
) -> None:
    upload = arrived(settings.temp_dir)
    os.utime(upload.path, (0, 0))  # the upload itself took long
    asyncio.run(spool.keep(upload, LEFT))
    assert asyncio.run(spool.sweep(frozenset(), GRACE)) == 0
    assert names() == [LEFT]


def test_a_sweep_takes_old_unfinished_copies_and_leaves_young_ones(
    spool: FolderSpool, folder: Path, names: Names
) -> None:
    (folder / f"{TEMPORARY_PREFIX}1").touch()
    assert asyncio.run(spool.sweep(frozenset(), GRACE)) == 0
    time.sleep(0.05)
    assert asyncio.run(spool.sweep(frozenset(), 0.01)) == 1
    assert names() == []


def test_an_upload_that_cannot_be_kept_stays_where_it_is(spool: FolderSpool, settings: Settings, folder: Path) -> None:
    upload = arrived(settings.temp_dir)
    before = upload.path
    folder.rmdir()
    with pytest.raises(ServiceUnavailable, match="SPOOL_URL"):
        asyncio.run(spool.keep(upload, NEEDED))
    assert upload.path == before
    assert before.exists()


def test_a_folder_that_is_not_there_loses_no_recording(spool: FolderSpool, settings: Settings, folder: Path) -> None:
    recording = asyncio.run(spool.keep(arrived(settings.temp_dir), NEEDED))
    folder.rename(folder.with_name("unmounted"))
    with pytest.raises(ServiceUnavailable, match="mounted"):
        asyncio.run(content_of(spool, recording))
    with pytest.raises(ServiceUnavailable, match="mounted"):
        asyncio.run(spool.sweep(frozenset(), NO_GRACE))
    with pytest.raises(ServiceUnavailable, match="mounted"):
        asyncio.run(spool.check())


def test_a_folder_that_cannot_be_made_is_told_at_the_start(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    settings.spool_url = str(tmp_path / "file" / "spool")
    with pytest.raises(ServiceUnavailable, match="SPOOL_URL"):
        open_spool(settings)


def test_recordings_are_beside_the_jobs_by_default(settings: Settings) -> None:
    assert spool_folder(settings) == settings.jobs_dir / "spool"


@pytest.mark.parametrize("url", ["{}/a b", "file://{}/a b", "file://localhost{}/a%20b"])
def test_a_folder_is_given_as_a_path_or_as_a_url(settings: Settings, tmp_path: Path, url: str) -> None:
    settings.spool_url = url.format(tmp_path)
    assert isinstance(open_spool(settings), FolderSpool)
    assert (tmp_path / "a b").is_dir()


@pytest.mark.parametrize("url", ["file://server/share", "file://"])
def test_a_file_url_of_another_machine_is_refused(settings: Settings, url: str) -> None:
    settings.spool_url = url
    with pytest.raises(InvalidSettings, match="SPOOL_URL"):
        open_spool(settings)


def test_a_folder_that_is_a_link_is_where_the_link_leads(
    settings: Settings, tmp_path: Path, mounted_twice: Path
) -> None:
    (tmp_path / "link").symlink_to(mounted_twice)
    spool = FolderSpool(tmp_path / "link", settings)

    async def where() -> Path:
        async with spool.borrowed(await spool.keep(arrived(settings.temp_dir), NEEDED)) as upload:
            return upload.path

    assert asyncio.run(where()).parent == settings.temp_dir


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

    def test_uploads_stay_on_the_disk_of_a_spool_elsewhere(self, settings: Settings, elsewhere: Path) -> None:
        settings.temp_dir, settings.spool_url = elsewhere / "uploads", str(elsewhere / "spool")
        assert with_uploads_beside_jobs(settings) is settings

    def test_uploads_never_move_to_a_share(self, settings: Settings, elsewhere: Path) -> None:
        settings.spool_url = str(elsewhere)
        assert with_uploads_beside_jobs(settings) is settings

    def test_uploads_stay_when_recordings_go_to_an_object_store(self, settings: Settings, elsewhere: Path) -> None:
        settings.temp_dir, settings.spool_url = elsewhere, "s3://bucket"
        assert with_uploads_beside_jobs(settings) is settings
