"""What every recording store does.

The test file of a store inherits `RecordingStoreContract` and has the fixtures `recordings`, the store, and `names`,
which returns the names of the files in it.
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

from tests.support.leftovers import files_under
from transcription.core.errors import RecordingLost, ServiceUnavailable
from transcription.core.settings import Settings
from transcription.jobs.job import Recording
from transcription.jobs.recordings.base import RecordingStore
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


async def content_of(recordings: RecordingStore, recording: Recording) -> bytes:
    async with recordings.borrowed(recording) as upload:
        return upload.path.read_bytes()


class RecordingStoreContract:
    def test_a_kept_upload_comes_back_as_it_was(self, recordings: RecordingStore, settings: Settings) -> None:
        sent = arrived(settings.temp_dir)

        async def keep_and_borrow() -> None:
            recording = await recordings.keep(sent, NEEDED)
            async with recordings.borrowed(recording) as upload:
                assert upload.path.read_bytes() == SOUND
                assert (upload.sha256, upload.size) == (sent.sha256, sent.size)
                assert (upload.filename, upload.content_type) == ("talk.mp3", "audio/mpeg")

        asyncio.run(keep_and_borrow())

    def test_the_file_of_a_kept_upload_is_gone(
        self, recordings: RecordingStore, settings: Settings, names: Names
    ) -> None:
        upload = arrived(settings.temp_dir)
        asyncio.run(recordings.keep(upload, NEEDED))
        assert not files_under(settings.temp_dir)
        assert names() == [NEEDED]

    def test_a_recording_can_be_borrowed_repeatedly_and_leaves_no_copy(
        self, recordings: RecordingStore, settings: Settings, names: Names
    ) -> None:
        recording = asyncio.run(recordings.keep(arrived(settings.temp_dir), NEEDED))
        assert asyncio.run(content_of(recordings, recording)) == SOUND
        assert asyncio.run(content_of(recordings, recording)) == SOUND
        assert not files_under(settings.temp_dir)
        assert names() == [NEEDED]

    @pytest.mark.parametrize("size", [0, 1, 4 * 1024 * 1024, 11 * 1024 * 1024 + 1])
    def test_files_of_any_size_are_kept(self, recordings: RecordingStore, settings: Settings, size: int) -> None:
        content = bytes(range(251)) * (size // 251 + 1)
        recording = asyncio.run(recordings.keep(arrived(settings.temp_dir, content[:size]), NEEDED))
        assert asyncio.run(content_of(recordings, recording)) == content[:size]

    def test_a_recording_above_a_lowered_upload_limit_is_still_served(
        self, recordings: RecordingStore, settings: Settings
    ) -> None:
        recording = asyncio.run(recordings.keep(arrived(settings.temp_dir), NEEDED))
        settings.max_file_size = 1
        assert asyncio.run(content_of(recordings, recording)) == SOUND

    def test_the_sweep_of_temp_dir_spares_borrowed_files(self, recordings: RecordingStore, settings: Settings) -> None:
        async def borrow_while_it_sweeps() -> None:
            recording = await recordings.keep(arrived(settings.temp_dir), NEEDED)
            async with recordings.borrowed(recording) as upload:
                assert sweep(settings, time.time() + GRACE) == []
                assert upload.path.read_bytes() == SOUND

        asyncio.run(borrow_while_it_sweeps())

    def test_a_removed_recording_is_lost(self, recordings: RecordingStore, settings: Settings) -> None:
        recording = asyncio.run(recordings.keep(arrived(settings.temp_dir), NEEDED))
        asyncio.run(recordings.remove(recording.name))
        with pytest.raises(RecordingLost, match="gone"):
            asyncio.run(content_of(recordings, recording))
        assert not files_under(settings.temp_dir)

    def test_removing_a_missing_file_is_no_error(
        self, recordings: RecordingStore, settings: Settings, names: Names
    ) -> None:
        asyncio.run(recordings.keep(arrived(settings.temp_dir), NEEDED))
        asyncio.run(recordings.remove(NEEDED))
        asyncio.run(recordings.remove(NEEDED))
        assert names() == []

    def test_a_sweep_deletes_files_that_no_job_refers_to(
        self, recordings: RecordingStore, settings: Settings, names: Names
    ) -> None:
        for name in (NEEDED, LEFT):
            asyncio.run(recordings.keep(arrived(settings.temp_dir), name))
        assert asyncio.run(recordings.sweep(frozenset({NEEDED}), NO_GRACE)) == 1
        assert names() == [NEEDED]

    def test_a_sweep_spares_a_file_whose_job_is_about_to_be_stored(
        self, recordings: RecordingStore, settings: Settings, names: Names
    ) -> None:
        asyncio.run(recordings.keep(arrived(settings.temp_dir), LEFT))
        assert asyncio.run(recordings.sweep(frozenset(), GRACE)) == 0
        assert names() == [LEFT]

    def test_a_sweep_spares_files_that_are_not_named_as_jobs(
        self, recordings: RecordingStore, settings: Settings, names: Names
    ) -> None:
        asyncio.run(recordings.keep(arrived(settings.temp_dir), "holidays.mp3"))
        assert asyncio.run(recordings.sweep(frozenset(), NO_GRACE)) == 0
        assert names() == ["holidays.mp3"]

    def test_a_sweep_of_an_empty_store_is_no_error(self, recordings: RecordingStore) -> None:
        assert asyncio.run(recordings.sweep(frozenset(), NO_GRACE)) == 0

    def test_a_check_leaves_nothing_behind(self, recordings: RecordingStore, names: Names) -> None:
        asyncio.run(recordings.check())
        assert names() == []

    @pytest.mark.parametrize("name", ["../upload-1", "/etc/passwd", "a/b", "", "..", ".hidden", "a\0b", "a b", "a\n"])
    def test_a_name_cannot_lead_to_another_folder(
        self, recordings: RecordingStore, settings: Settings, name: str
    ) -> None:
        upload = arrived(settings.temp_dir)
        with pytest.raises(ValueError, match="not the name"):
            asyncio.run(recordings.keep(upload, name))
        with pytest.raises(ValueError, match="not the name"):
            asyncio.run(recordings.remove(name))
        with pytest.raises(ValueError, match="not the name"):
            asyncio.run(content_of(recordings, Recording(name, "", 0)))
        assert upload.path.exists()


class CopyContract:
    """What a recording store does in addition if a borrowed file is a copy."""

    def test_a_damaged_recording_is_a_temporary_error(self, recordings: RecordingStore, settings: Settings) -> None:
        recording = asyncio.run(recordings.keep(arrived(settings.temp_dir), NEEDED))
        with pytest.raises(ServiceUnavailable, match="did not come back"):
            asyncio.run(content_of(recordings, replace(recording, sha256="0" * 64)))
        assert not files_under(settings.temp_dir)

    def test_a_truncated_file_is_a_damaged_recording(self, recordings: RecordingStore, settings: Settings) -> None:
        recording = asyncio.run(recordings.keep(arrived(settings.temp_dir), NEEDED))
        with pytest.raises(ServiceUnavailable, match="did not come back"):
            asyncio.run(content_of(recordings, replace(recording, size=recording.size + 1)))

    def test_no_more_bytes_are_written_than_the_recording_has(
        self, recordings: RecordingStore, settings: Settings
    ) -> None:
        recording = asyncio.run(recordings.keep(arrived(settings.temp_dir), NEEDED))
        with pytest.raises(ServiceUnavailable, match="did not come back"):
            asyncio.run(content_of(recordings, replace(recording, size=recording.size - 1)))
        assert not files_under(settings.temp_dir)

    def test_a_cancelled_download_leaves_nothing(self, recordings: RecordingStore, settings: Settings) -> None:
        async def borrow_and_cancel() -> None:
            recording = await recordings.keep(arrived(settings.temp_dir, bytes(64 * 1024 * 1024)), NEEDED)
            borrowing = asyncio.create_task(content_of(recordings, recording))
            async with asyncio.timeout(20):
                while not any(path.stat().st_size for path in files_under(settings.temp_dir)):
                    await asyncio.sleep(0.001)
            assert not borrowing.done()
            borrowing.cancel()
            await asyncio.gather(borrowing, return_exceptions=True)
            assert borrowing.cancelled()
            assert not files_under(settings.temp_dir)

        asyncio.run(borrow_and_cancel())
