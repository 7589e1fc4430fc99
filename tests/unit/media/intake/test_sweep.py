"""Files that a crashed process left behind are deleted; files in use are not."""

import asyncio
import time

from tests.unit.media.intake.forms import FORM, chunks, form, part
from transcription.media.intake.sweep import sweep
from transcription.media.intake.upload import receive_upload

HOUR = 3600.0
LATER = time.time() + 24 * HOUR


def test_an_upload_that_no_process_has_locked_is_deleted(tmp_path):
    orphan = tmp_path / "upload-0123"
    orphan.write_bytes(b"x")
    assert sweep(tmp_path, HOUR, LATER) == [orphan]
    assert not orphan.exists()


def test_an_upload_in_use_is_kept_at_any_age(settings):
    async def check() -> None:
        body = form(part("file", b"x", "a.mp3"))
        async with receive_upload(chunks(body), FORM, None, settings) as upload:
            assert sweep(settings.temp_dir, HOUR, LATER) == []
            assert upload.path.exists()

    asyncio.run(check())


def test_an_upload_that_was_just_created_is_kept(tmp_path):
    (tmp_path / "upload-0123").write_bytes(b"x")
    assert sweep(tmp_path, HOUR) == []


def test_other_files_and_folders_are_deleted_once_they_are_old(tmp_path):
    (tmp_path / "tmpabc").write_bytes(b"x")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "inner").write_bytes(b"x")
    assert len(sweep(tmp_path, HOUR, LATER)) == 2
    assert list(tmp_path.iterdir()) == []


def test_other_files_are_kept_while_they_are_recent(tmp_path):
    (tmp_path / "tmpabc").write_bytes(b"x")
    assert sweep(tmp_path, HOUR) == []


def test_a_link_is_deleted_and_not_followed(tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "precious").write_bytes(b"x")
    folder = tmp_path / "uploads"
    folder.mkdir()
    (folder / "link").symlink_to(outside)
    sweep(folder, HOUR, LATER)
    assert (outside / "precious").exists()
    assert list(folder.iterdir()) == []


def test_a_missing_folder_is_not_an_error(tmp_path):
    assert sweep(tmp_path / "missing", HOUR) == []
