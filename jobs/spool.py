"""The files of accepted jobs, in a folder beside the database."""

from __future__ import annotations

import asyncio
import os
import time
from contextlib import suppress
from pathlib import Path

from jobs.database import sync_folder
from jobs.job import Recording
from media.upload import Upload
from settings import Settings

SPOOL_NAME = "spool"  # under JOBS_DIR
UPLOADS_NAME = "uploads"


def with_uploads_beside_jobs(settings: Settings) -> Settings:
    """The settings with TEMP_DIR under JOBS_DIR, unless both are on one file system already.

    An upload becomes a job by a rename, and nobody can rename across file systems.
    """
    if not settings.enable_async or _device(settings.temp_dir) == _device(settings.jobs_dir):
        return settings
    return settings.model_copy(update={"temp_dir": settings.jobs_dir / UPLOADS_NAME})


def _device(path: Path) -> int:
    """The file system that a folder is on, or will be on when it is made."""
    existing = next(folder for folder in (path, *path.parents) if folder.exists())
    return existing.stat().st_dev


class Spool:
    """Keeps uploads until nobody needs them. Names are ours, single path components."""

    def __init__(self, folder: Path) -> None:
        """folder: made when missing; on the file system of the uploads, because files are renamed, never copied."""
        self._folder = folder
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    async def keep(self, upload: Upload, name: str) -> Recording:
        """Take an upload over, durably; its path is the new one then.

        Raises OSError (EXDEV when the folders are on two file systems), and nothing has changed then.
        """
        target = self._path(name)
        await asyncio.to_thread(self._keep, upload, target)
        return Recording(name, upload.sha256, upload.size, upload.filename, upload.content_type)

    def upload_of(self, recording: Recording) -> Upload:
        """A kept file as the pipeline takes it. It is not looked for here."""
        return Upload(
            self._path(recording.name), recording.sha256, recording.size, recording.filename, recording.content_type
        )

    async def remove(self, name: str) -> None:
        """Delete a file, if it is there."""
        path = self._path(name)
        await asyncio.to_thread(path.unlink, missing_ok=True)

    async def sweep(self, in_use: frozenset[str], grace_seconds: float) -> int:
        """Delete the files that no job names, and say how many.

        in_use: names. grace_seconds: younger files are left alone, their job may be about to be written down.
        """
        return await asyncio.to_thread(self._sweep, in_use, grace_seconds)

    def _keep(self, upload: Upload, target: Path) -> None:
        _sync_file(upload.path)
        # The inode's change time is that of the rename, and the grace of `sweep` counts from it.
        upload.keep_as(target)
        sync_folder(self._folder)

    def _sweep(self, in_use: frozenset[str], grace_seconds: float) -> int:
        unused = [path for path in self._folder.iterdir() if path.name not in in_use]
        removed = 0
        for path in unused:
            # Other processes sweep, too.
            with suppress(FileNotFoundError):
                # Absolute, so that files from before the clock was set back do not stay for ever.
                if abs(time.time() - path.stat().st_ctime) > grace_seconds:
                    path.unlink()
                    removed += 1
        return removed

    def _path(self, name: str) -> Path:
        if name in ("", ".", "..") or "/" in name:
            raise ValueError(f"'{name}' is no name of a spooled file.")
        return self._folder / name


def _sync_file(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def open_spool(settings: Settings) -> Spool:
    """Where SPOOL_URL says."""
    return Spool(settings.jobs_dir / SPOOL_NAME)
