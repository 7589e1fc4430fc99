"""What every spool does.

A spool's own test file inherits `SpoolContract`, and has the fixtures `spool` and `names`, which tells what is in it.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
import uuid
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from transcription.core.errors import RecordingLost, ServiceUnavailable
from transcription.core.settings import Settings
from transcription.jobs.job import Recording
from transcription.jobs.recordings.folder import Spool
from transcription.media.intake.sweep import sweep
from transcription.media.intake.upload import Upload

GRACE = 3600.0  # seconds
NO_GRACE = -1.0
SOUND = b"sound"
NEEDED, LEFT = str(uuid.UUID(int=1)), str(uuid.UUID(int=2))  # names of jobs

Names = Callable[[], list[str]]


def arrived(folder: Path, content: bytes = SOUND) -> Upload:
    """An upload under TEMP_DIR."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"upload-{uuid.uuid4().hex}"
    path.write_bytes(content)
    return Upload(path, hashlib.sha256(content).hexdigest(), len(content), "talk.mp3", "audio/mpeg")


async def content_of(spool: Spool, recording: Recording) -> bytes:
    async with spool.borrowed(recording) as upload:
        return upload.path.read_bytes()


class SpoolContract:
    def test_a_kept_upload_comes_back_as_it_was(self, spool: Spool, settings: Settings) -> None:
        sent = arrived(settings.temp_dir)

        async def keep_and_borrow() -> None:
            recording = await spool.keep(sent, NEEDED)
            async with spool.borrowed(recording) as upload:
                assert upload.path.read_bytes() == SOUND
                assert (upload.sha256, upload.size) == (sent.sha256, sent.size)
                assert (upload.filename, upload.content_type) == ("talk.mp3", "audio/mpeg")

        asyncio.run(keep_and_borrow())

    def test_the_uploads_own_file_is_gone(self, spool: Spool, settings: Settings, names: Names) -> None:
        upload = arrived(settings.temp_dir)
        asyncio.run(spool.keep(upload, NEEDED))
        assert not list(settings.temp_dir.iterdir())
        assert names() == [NEEDED]

    def test_a_recording_is_borrowed_again_and_again_and_nothing_is_left(
        self, spool: Spool, settings: Settings, names: Names
    ) -> None:
        recording = asyncio.run(spool.keep(arrived(settings.temp_dir), NEEDED))
        assert asyncio.run(content_of(spool, recording)) == SOUND
        assert asyncio.run(content_of(spool, recording)) == SOUND
        assert not list(settings.temp_dir.iterdir())
        assert names() == [NEEDED]

    @pytest.mark.parametrize("size", [0, 1, 4 * 1024 * 1024, 11 * 1024 * 1024 + 1])
    def test_files_of_any_size_are_kept(self, spool: Spool, settings: Settings, size: int) -> None:
        content = bytes(range(251)) * (size // 251 + 1)
        recording = asyncio.run(spool.keep(arrived(settings.temp_dir, content[:size]), NEEDED))
        assert asyncio.run(content_of(spool, recording)) == content[:size]

    def test_a_recording_larger_than_uploads_may_be_now_is_still_served(self, spool: Spool, settings: Settings) -> None:
        recording = asyncio.run(spool.keep(arrived(settings.temp_dir), NEEDED))
        settings.max_file_size = 1
        assert asyncio.run(content_of(spool, recording)) == SOUND

    def test_the_sweep_of_temp_dir_leaves_what_is_borrowed(self, spool: Spool, settings: Settings) -> None:
        async def borrow_while_it_sweeps() -> None:
            recording = await spool.keep(arrived(settings.temp_dir), NEEDED)
            async with spool.borrowed(recording) as upload:
                assert sweep(settings.temp_dir, max_age=0.0, now=time.time() + GRACE) == []
                assert upload.path.read_bytes() == SOUND

        asyncio.run(borrow_while_it_sweeps())

    def test_a_recording_that_was_removed_is_lost(self, spool: Spool, settings: Settings) -> None:
        recording = asyncio.run(spool.keep(arrived(settings.temp_dir), NEEDED))
        asyncio.run(spool.remove(recording.name))
        with pytest.raises(RecordingLost, match="gone"):
            asyncio.run(content_of(spool, recording))
        assert not list(settings.temp_dir.iterdir())

    def test_removing_a_file_that_is_gone_is_no_error(self, spool: Spool, settings: Settings, names: Names) -> None:
        asyncio.run(spool.keep(arrived(settings.temp_dir), NEEDED))
        asyncio.run(spool.remove(NEEDED))
        asyncio.run(spool.remove(NEEDED))
        assert names() == []

    def test_a_sweep_takes_what_no_job_names(self, spool: Spool, settings: Settings, names: Names) -> None:
        for name in (NEEDED, LEFT):
            asyncio.run(spool.keep(arrived(settings.temp_dir), name))
        assert asyncio.run(spool.sweep(frozenset({NEEDED}), NO_GRACE)) == 1
        assert names() == [NEEDED]

    def test_a_sweep_leaves_a_file_whose_job_is_about_to_be_written_down(
        self, spool: Spool, settings: Settings, names: Names
    ) -> None:
        asyncio.run(spool.keep(arrived(settings.temp_dir), LEFT))
        assert asyncio.run(spool.sweep(frozenset(), GRACE)) == 0
        assert names() == [LEFT]

    def test_a_sweep_leaves_what_is_named_as_no_job_of_ours(
        self, spool: Spool, settings: Settings, names: Names
    ) -> None:
        asyncio.run(spool.keep(arrived(settings.temp_dir), "holidays.mp3"))
        assert asyncio.run(spool.sweep(frozenset(), NO_GRACE)) == 0
        assert names() == ["holidays.mp3"]

    def test_a_sweep_of_an_empty_spool_is_no_error(self, spool: Spool) -> None:
        assert asyncio.run(spool.sweep(frozenset(), NO_GRACE)) == 0

    def test_a_check_leaves_nothing_behind(self, spool: Spool, names: Names) -> None:
        asyncio.run(spool.check())
        assert names() == []

    @pytest.mark.parametrize("name", ["../upload-1", "/etc/passwd", "a/b", "", "..", ".hidden", "a\0b", "a b", "a\n"])
    def test_a_name_leads_nowhere_else(self, spool: Spool, settings: Settings, name: str) -> None:
        upload = arrived(settings.temp_dir)
        with pytest.raises(ValueError, match="no name"):
            asyncio.run(spool.keep(upload, name))
        with pytest.raises(ValueError, match="no name"):
            asyncio.run(spool.remove(name))
        with pytest.raises(ValueError, match="no name"):
            asyncio.run(content_of(spool, Recording(name, "", 0)))
        assert upload.path.exists()


class CopyContract:
    """What a spool does beside that when a borrowed file is a copy."""

    def test_a_damaged_recording_is_asked_for_again(self, spool: Spool, settings: Settings) -> None:
        recording = asyncio.run(spool.keep(arrived(settings.temp_dir), NEEDED))
        with pytest.raises(ServiceUnavailable, match="did not come back"):
            asyncio.run(content_of(spool, replace(recording, sha256="0" * 64)))
        assert not list(settings.temp_dir.iterdir())

    def test_a_file_that_is_shorter_than_its_recording_is_damaged(self, spool: Spool, settings: Settings) -> None:
        recording = asyncio.run(spool.keep(arrived(settings.temp_dir), NEEDED))
        with pytest.raises(ServiceUnavailable, match="did not come back"):
            asyncio.run(content_of(spool, replace(recording, size=recording.size + 1)))

    def test_never_more_is_written_than_the_recording_has(self, spool: Spool, settings: Settings) -> None:
        recording = asyncio.run(spool.keep(arrived(settings.temp_dir), NEEDED))
        with pytest.raises(ServiceUnavailable, match="did not come back"):
            asyncio.run(content_of(spool, replace(recording, size=recording.size - 1)))
        assert not list(settings.temp_dir.iterdir())

    def test_a_cancelled_download_leaves_nothing(self, spool: Spool, settings: Settings) -> None:
        async def borrow_and_cancel() -> None:
            recording = await spool.keep(arrived(settings.temp_dir, bytes(64 * 1024 * 1024)), NEEDED)
            borrowing = asyncio.create_task(content_of(spool, recording))
            async with asyncio.timeout(20):
                while not any(path.stat().st_size for path in settings.temp_dir.iterdir()):
                    await asyncio.sleep(0.001)
            assert not borrowing.done()
            borrowing.cancel()
            await asyncio.gather(borrowing, return_exceptions=True)
            assert borrowing.cancelled()
            assert not list(settings.temp_dir.iterdir())

        asyncio.run(borrow_and_cancel())
