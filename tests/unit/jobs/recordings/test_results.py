"""Transcripts as files in the recording store."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.support.leftovers import files_under
from transcription.core.errors import RecordingsUnavailable, ResultUnavailable
from transcription.core.settings import Settings
from transcription.jobs.job import Recording
from transcription.jobs.recordings import results as results_module
from transcription.jobs.recordings.folder import FolderStore
from transcription.jobs.recordings.results import ResultFiles


def test_what_is_larger_than_the_setting_is_kept_read_and_removed(settings: Settings, tmp_path: Path) -> None:
    files = ResultFiles(FolderStore(tmp_path / "spool", settings), settings)
    packed = bytes(range(256)) * 256

    async def keep_and_read() -> None:
        assert await files.keep(packed[: settings.max_result_in_redis]) is None
        file = await files.keep(packed)
        assert file
        assert await files.read(file) == packed
        await files.remove([file.name])
        with pytest.raises(ResultUnavailable, match="missing"):
            await files.read(file)

    asyncio.run(keep_and_read())
    assert not files_under(tmp_path)


def test_a_transfer_that_takes_too_long_is_given_up(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Standing(FolderStore):
        async def keep(self, *_: object) -> None:  # type: ignore[override]
            await asyncio.Event().wait()

        async def remove(self, name: str) -> None:
            await asyncio.Event().wait()

        @asynccontextmanager
        async def borrowed(self, *_: object):  # type: ignore[no-untyped-def, override]
            await asyncio.Event().wait()
            yield

    async def wait_for_each() -> None:
        files = ResultFiles(Standing(tmp_path / "spool", settings), settings)
        with pytest.raises(RecordingsUnavailable, match="too slow"):
            await files.keep(b"x" * (settings.max_result_in_redis + 1))
        with pytest.raises(ResultUnavailable):
            await files.read(Recording("a.result", "", 1))
        await files.remove(["a.result"])  # the sweep does it

    monkeypatch.setattr(results_module, "TRANSFER_SECONDS", 0.01)
    asyncio.run(wait_for_each())
    assert not files_under(settings.temp_dir)
