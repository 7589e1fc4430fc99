"""Uploads that a crashed process left behind are deleted; files in use and files of others are not."""

import asyncio
import os
import time

import pytest
from structlog.testing import capture_logs

from tests.unit.media.intake.forms import FORM, chunks, form, part
from transcription.media.intake.sweep import sweep
from transcription.media.intake.upload import receive_upload
from transcription.media.intake.uploads_folder import new_name, open_uploads, uploads_folder

LATER = time.time() + 24 * 3600.0


@pytest.fixture
def folder(settings):
    with open_uploads(settings):
        return uploads_folder(settings)


def test_an_upload_that_no_process_has_locked_is_deleted(settings, folder):
    orphan = folder / new_name()
    orphan.write_bytes(b"x")
    assert sweep(settings, LATER) == [orphan.name]
    assert not orphan.exists()


def test_an_upload_in_use_is_kept_at_any_age(settings):
    async def check() -> None:
        body = form(part("file", b"x", "a.mp3"))
        async with receive_upload(chunks(body), FORM, None, settings) as upload:
            assert sweep(settings, LATER) == []
            assert upload.path.exists()

    asyncio.run(check())


def test_an_upload_that_was_just_created_is_kept(settings, folder):
    (folder / new_name()).write_bytes(b"x")
    assert sweep(settings) == []


def test_an_upload_from_before_the_clock_was_set_back_is_deleted(settings, folder):
    (folder / new_name()).write_bytes(b"x")
    assert len(sweep(settings, time.time() - 3600.0)) == 1


@pytest.mark.parametrize("name", ["tmpabc", "upload-", "upload-0123", "upload-notes.txt", "recording.wav", ".hidden"])
def test_a_file_whose_name_is_not_ours_is_kept(settings, folder, name):
    (folder / name).write_bytes(b"x")
    assert sweep(settings, LATER) == []
    assert (folder / name).exists()


def test_everything_else_in_temp_dir_is_kept(settings, folder):
    others = settings.temp_dir / "others"
    others.mkdir()
    (others / "old").write_bytes(b"x")
    (settings.temp_dir / "runner.sock").write_bytes(b"x")
    (settings.temp_dir / new_name()).write_bytes(b"x")
    (folder / "folder").mkdir()
    before = sorted(settings.temp_dir.rglob("*"))
    assert sweep(settings, LATER) == []
    assert sorted(settings.temp_dir.rglob("*")) == before


def make_link(path):
    path.symlink_to("/etc")


@pytest.mark.parametrize("make", [os.mkdir, os.mkfifo, make_link])
def test_what_is_not_a_file_is_kept_and_does_not_end_the_sweep(settings, folder, make):
    odd, orphan = folder / new_name(), folder / new_name()
    make(odd)
    orphan.write_bytes(b"x")
    assert sweep(settings, LATER) == [orphan.name]
    assert os.path.lexists(odd)


def test_an_error_with_one_file_is_logged_and_the_others_are_swept(settings, folder, monkeypatch):
    orphans = [folder / new_name() for _ in range(3)]
    for orphan in orphans:
        orphan.write_bytes(b"x")
    unlink = os.unlink

    def fail_once(path, **options):
        if path == orphans[0].name:
            raise PermissionError(1, "Operation not permitted")
        unlink(path, **options)

    monkeypatch.setattr(os, "unlink", fail_once)
    with capture_logs() as logs:
        assert sorted(sweep(settings, LATER)) == sorted(orphan.name for orphan in orphans[1:])
    assert [(entry["event"], entry["file"]) for entry in logs] == [("background_error", orphans[0].name)]
    assert "Operation not permitted" in logs[0]["reason"]


def test_a_missing_folder_is_created(settings):
    assert sweep(settings) == []
    assert uploads_folder(settings).is_dir()
