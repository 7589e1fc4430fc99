"""Recordings in a folder: beside the database, or shared with other machines."""

from __future__ import annotations

import asyncio
import errno
import os
import shutil
import stat
import time
import uuid
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager, suppress
from io import FileIO
from pathlib import Path

import structlog

from transcription.core.errors import InsufficientStorage, RecordingsUnavailable, ServiceUnavailable
from transcription.core.settings import Settings
from transcription.jobs.durable import sync_file, sync_folder
from transcription.jobs.job import Recording
from transcription.jobs.recordings.base import CLEANUP, COPY_BYTES, OWN_NAME, checked_name, local_copy, recording_lost
from transcription.jobs.recordings.mounts import disk_of
from transcription.media.intake.upload import Upload
from transcription.system.disk import is_full
from transcription.system.private_folder import PRIVATE_FOLDER, create_private, open_without_links, withdraw_rights
from transcription.telemetry.background import going_on

FULL_RETRY_SECONDS = 60.0
TEMPORARY_PREFIX = ".spool-"  # of files in the folder that are not complete

log = structlog.get_logger(__name__)


class FolderStore:
    """Files in a folder: of this machine, or shared with others."""

    def __init__(self, folder: Path, settings: Settings) -> None:
        """folder: created if missing. Raises ServiceUnavailable."""
        self._folder = folder
        self._settings = settings
        try:
            folder.mkdir(PRIVATE_FOLDER, parents=True, exist_ok=True)
        except OSError as error:
            raise self._out_of_reach(error) from error
        if reason := withdraw_rights(folder, _is_ours):
            log.warning("folder_not_private", setting="SPOOL_URL", reason=reason)

    async def keep(self, upload: Upload, name: str) -> Recording:
        """As `RecordingStore.keep`: a rename within one file system, otherwise a copy."""
        target = self._path(name)
        try:
            await asyncio.to_thread(self._keep, upload, target)
        except OSError as error:
            raise self._out_of_reach(error) from error
        return Recording(name, upload.sha256, upload.size, upload.filename, upload.content_type)

    @asynccontextmanager
    async def borrowed(self, recording: Recording) -> AsyncIterator[Upload]:
        """As `RecordingStore.borrowed`: the file itself, or a copy if TEMP_DIR is on another mount.

        That may be a network share, which can fail at any time while the file is read.
        """
        path = self._path(recording.name)
        with await asyncio.to_thread(self._open, path) as file:
            if await asyncio.to_thread(self._is_on_the_disk_of_uploads, path):
                named = (recording.filename, recording.content_type)
                yield Upload(path, recording.sha256, recording.size, *named, file=file)
                return
            async with (
                aclosing(self._chunks(file)) as chunks,
                local_copy(recording, chunks, self._settings) as upload,
            ):
                yield upload

    async def remove(self, name: str) -> None:
        """As `RecordingStore.remove`."""
        path = self._path(name)
        with going_on(CLEANUP, file=name):
            await asyncio.to_thread(path.unlink, missing_ok=True)

    async def sweep(self, in_use: frozenset[str], grace_seconds: float) -> int:
        """As `RecordingStore.sweep`."""
        try:
            return await asyncio.to_thread(self._sweep, in_use, grace_seconds)
        except OSError as error:
            raise self._out_of_reach(error) from error

    async def check(self) -> None:
        """As `RecordingStore.check`."""
        try:
            await asyncio.to_thread(self._check)
        except OSError as error:
            raise self._out_of_reach(error) from error

    def _keep(self, upload: Upload, target: Path) -> None:
        os.fsync(upload.opened.fileno())
        try:
            # A rename sets the inode's change time, from which the grace period of `sweep` counts.
            upload.keep_as(target)
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
            self._copy(upload, target)
            upload.path.unlink(missing_ok=True)
        sync_folder(self._folder)

    def _copy(self, upload: Upload, target: Path) -> None:
        temporary = self._folder / f"{TEMPORARY_PREFIX}{uuid.uuid4().hex}"
        try:
            with upload.reader() as read, create_private(temporary) as written:
                shutil.copyfileobj(read, written, COPY_BYTES)
                os.fsync(written.fileno())
            temporary.rename(target)
            sync_folder(self._folder)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise

    def _open(self, path: Path) -> FileIO:
        """Open a recording. Raises RecordingLost, ServiceUnavailable."""
        try:
            file = FileIO(path, opener=open_without_links)
        except FileNotFoundError as error:
            if not self._folder.is_dir():
                raise self._out_of_reach(error) from error
            raise recording_lost() from None
        except OSError as error:
            raise self._out_of_reach(error) from error
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            file.close()
            raise recording_lost()
        return file

    def _is_on_the_disk_of_uploads(self, path: Path) -> bool:
        try:
            return disk_of(path) == disk_of(self._settings.temp_dir)
        except OSError as error:
            raise self._out_of_reach(error) from error

    async def _chunks(self, file: FileIO) -> AsyncGenerator[bytes, None]:
        try:
            while chunk := await asyncio.to_thread(file.read, COPY_BYTES):
                yield chunk
        except OSError as error:
            raise self._out_of_reach(error) from error

    def _sweep(self, in_use: frozenset[str], grace_seconds: float) -> int:
        unused = [path for path in self._folder.iterdir() if _is_ours(path.name) and path.name not in in_use]
        return sum(_swept(path, grace_seconds) for path in unused)

    def _check(self) -> None:
        probe = self._folder / f"{TEMPORARY_PREFIX}{uuid.uuid4().hex}"
        try:
            with create_private(probe) as file:
                file.write(probe.name.encode())
            sync_file(probe)
            if probe.read_bytes() != probe.name.encode():
                raise OSError(errno.EIO, "The data read differs from the data written", str(probe))
        finally:
            probe.unlink(missing_ok=True)

    def _path(self, name: str) -> Path:
        return self._folder / checked_name(name)

    def _out_of_reach(self, error: OSError) -> ServiceUnavailable:
        if is_full(error):
            return InsufficientStorage(
                "The disk is full: there is no space left for the recording of this job. Try again later, or tell the "
                "operator.",
                error.strerror or "",
                retry_after=FULL_RETRY_SECONDS,
            )
        return RecordingsUnavailable(
            "The folder of the recordings cannot be used. Try again in a moment; if the error persists, have the "
            "operator check that SPOOL_URL (by default JOBS_DIR) is mounted, has free space and belongs to the user "
            "that the service runs as.",
            f"{self._folder}: {error.strerror or type(error).__name__}",
        )


def _is_ours(name: str) -> bool:
    return OWN_NAME.fullmatch(name) is not None or name.startswith(TEMPORARY_PREFIX)


def _swept(path: Path, grace_seconds: float) -> bool:
    """Whether the file was deleted."""
    with going_on(CLEANUP, file=path.name), suppress(FileNotFoundError):  # other processes sweep, too
        found = path.lstat()
        # The absolute age, so that files from before the clock was set back are deleted, too.
        if stat.S_ISREG(found.st_mode) and abs(time.time() - found.st_ctime) > grace_seconds:
            path.unlink()
            return True
    return False
