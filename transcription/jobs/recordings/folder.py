"""The files of accepted jobs: in a folder beside the database, in a shared folder, or in an object store."""

from __future__ import annotations

import asyncio
import errno
import os
import re
import shutil
import time
import uuid
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager, suppress
from pathlib import Path
from typing import Protocol
from urllib.parse import unquote

from transcription.core.errors import FileTooLarge, RecordingLost, ServiceUnavailable
from transcription.core.settings import InvalidSettings, Settings
from transcription.jobs.job import Recording
from transcription.jobs.store.sqlite.database import sync_folder
from transcription.media.intake.upload import Destination, Upload

SPOOL_NAME = "spool"  # under JOBS_DIR
UPLOADS_NAME = "uploads"
FILE_SCHEME = "file://"
COPY_BYTES = 1024 * 1024  # read and written at once between file systems
TEMPORARY_PREFIX = ".spool-"  # of files in the folder that are not complete
NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,199}")
MOUNTS = Path("/proc/self/mountinfo")  # of this process: the fifth field is where something is mounted
JOB_NAME = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")  # jobs are named by UUIDs


class Spool(Protocol):
    """Keeps recordings until no job needs them. Names are ours: single path components."""

    async def keep(self, upload: Upload, name: str) -> Recording:
        """Take an upload over, durably; its own file is gone or renamed then.

        Raises ServiceUnavailable, and the upload is where it was then.
        """
        ...

    def borrowed(self, recording: Recording) -> AbstractAsyncContextManager[Upload]:
        """The file on this machine's disk for as long as the context lasts.

        Raises RecordingLost when it is gone for good, ServiceUnavailable when another attempt may have it.
        """
        ...

    async def remove(self, name: str) -> None:
        """Delete a file, if it is there. One that is out of reach now is left to `sweep`."""
        ...

    async def sweep(self, in_use: frozenset[str], grace_seconds: float) -> int:
        """Delete the files that no job names, and say how many.

        in_use: names. grace_seconds: younger files are left alone, their job may be about to be written down.
        Whatever is not named as a job is somebody else's and stays. Raises ServiceUnavailable.
        """
        ...

    async def check(self) -> None:
        """Write, read and delete a file. Raises ServiceUnavailable, which names the remedy."""
        ...


def open_spool(settings: Settings) -> Spool:
    """The spool that SPOOL_URL names. Raises InvalidSettings, and ServiceUnavailable for a folder out of reach."""
    folder = spool_folder(settings)
    if folder is not None:
        return FolderSpool(folder, settings)
    from transcription.jobs.recordings.object_storage import (
        open_object_spool,  # here, since few need fsspec and it takes its time to import
    )

    return open_object_spool(settings)


def spool_folder(settings: Settings) -> Path | None:
    """The folder that SPOOL_URL names, None when it names no folder. Raises InvalidSettings."""
    url = settings.spool_url
    if not url:
        return settings.jobs_dir / SPOOL_NAME
    if "://" not in url:
        return Path(url).expanduser().resolve()
    if not url.startswith(FILE_SCHEME):
        return None
    path = url.removeprefix(FILE_SCHEME).removeprefix("localhost")
    if not path.startswith("/"):
        raise InvalidSettings("Invalid settings:\n  SPOOL_URL: a folder is given as file:///PATH, with three slashes")
    return Path(unquote(path)).resolve()


def job_folders(settings: Settings) -> list[Path]:
    """The folders of this machine that fill as jobs are accepted. Raises InvalidSettings."""
    folders = [spool_folder(settings) or settings.temp_dir]
    return folders if settings.job_backend == "celery" else [settings.jobs_dir, *folders]


def with_uploads_beside_jobs(settings: Settings) -> Settings:
    """The settings with TEMP_DIR under JOBS_DIR, where that makes an upload a job by a rename.

    Nobody can rename across file systems. A spool on a third one, such as a share, gets copies: uploads are locked
    while they arrive, and sweeps tell by that which are left over, and shares do not lock as disks do.
    """
    folder = spool_folder(settings)
    if not settings.enable_async or folder is None:
        return settings
    disk = _disk(folder)
    if disk == _disk(settings.temp_dir) or disk != _disk(settings.jobs_dir):
        return settings
    return settings.model_copy(update={"temp_dir": settings.jobs_dir / UPLOADS_NAME})


def checked_name(name: str) -> str:
    """The name itself. Raises ValueError for what could lead anywhere else."""
    if not NAME.fullmatch(name):
        raise ValueError(f"'{name}' is no name of a spooled file.")
    return name


@asynccontextmanager
async def local_copy(recording: Recording, chunks: AsyncIterator[bytes], settings: Settings) -> AsyncIterator[Upload]:
    """What the chunks make, as a file under TEMP_DIR that is locked as an upload is and gone with the context.

    At most `recording.size` bytes are written. Raises ServiceUnavailable unless they are the recording.
    """
    bounded = settings.model_copy(update={"max_file_size": recording.size})
    with Destination(bounded) as destination:
        try:
            async for chunk in chunks:
                await destination.write(chunk)
        except FileTooLarge:
            raise _damaged(recording, f"more than {recording.size} bytes") from None
        await destination.flush()
        upload = destination.upload(recording.filename, recording.content_type)
        if (upload.size, upload.sha256) != (recording.size, recording.sha256):
            raise _damaged(recording, f"{upload.size} bytes, SHA-256 {upload.sha256}")
        yield upload


class FolderSpool:
    """Files in a folder: of this machine, or shared with others."""

    def __init__(self, folder: Path, settings: Settings) -> None:
        """folder: made when missing. Raises ServiceUnavailable."""
        self._folder = folder
        self._settings = settings
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise self._out_of_reach(error) from error

    async def keep(self, upload: Upload, name: str) -> Recording:
        """As `Spool.keep`: a rename on one file system, else a copy."""
        target = self._path(name)
        try:
            await asyncio.to_thread(self._keep, upload, target)
        except OSError as error:
            raise self._out_of_reach(error) from error
        return Recording(name, upload.sha256, upload.size, upload.filename, upload.content_type)

    @asynccontextmanager
    async def borrowed(self, recording: Recording) -> AsyncIterator[Upload]:
        """As `Spool.borrowed`: the file itself, or a copy when no link leads from TEMP_DIR to it.

        Work that several share holds a file by a second name under TEMP_DIR, which it cannot have there.
        """
        path = self._path(recording.name)
        if await asyncio.to_thread(self._is_near, path):
            yield Upload(path, recording.sha256, recording.size, recording.filename, recording.content_type)
            return
        async with (
            aclosing(self._chunks(path)) as chunks,
            local_copy(recording, chunks, self._settings) as upload,
        ):
            yield upload

    async def remove(self, name: str) -> None:
        """As `Spool.remove`."""
        path = self._path(name)
        await asyncio.to_thread(path.unlink, missing_ok=True)

    async def sweep(self, in_use: frozenset[str], grace_seconds: float) -> int:
        """As `Spool.sweep`."""
        try:
            return await asyncio.to_thread(self._sweep, in_use, grace_seconds)
        except OSError as error:
            raise self._out_of_reach(error) from error

    async def check(self) -> None:
        """As `Spool.check`."""
        try:
            await asyncio.to_thread(self._check)
        except OSError as error:
            raise self._out_of_reach(error) from error

    def _keep(self, upload: Upload, target: Path) -> None:
        _sync_file(upload.path)
        try:
            # The inode's change time is that of the rename, and the grace of `sweep` counts from it.
            upload.keep_as(target)
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
            self._copy(upload.path, target)
            upload.path.unlink(missing_ok=True)
        sync_folder(self._folder)

    def _copy(self, source: Path, target: Path) -> None:
        temporary = self._folder / f"{TEMPORARY_PREFIX}{uuid.uuid4().hex}"
        try:
            with source.open("rb") as read, temporary.open("xb", buffering=0) as written:
                shutil.copyfileobj(read, written, COPY_BYTES)
                os.fsync(written.fileno())
            temporary.rename(target)
            sync_folder(self._folder)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise

    def _is_near(self, path: Path) -> bool:
        """Whether a link may lead from TEMP_DIR to a file. Raises RecordingLost, ServiceUnavailable."""
        try:
            path.stat()
            return _disk(path) == _disk(self._settings.temp_dir)
        except FileNotFoundError as error:
            if not self._folder.is_dir():
                raise self._out_of_reach(error) from error
            raise recording_lost() from None
        except OSError as error:
            raise self._out_of_reach(error) from error

    async def _chunks(self, path: Path) -> AsyncGenerator[bytes, None]:
        try:
            with await asyncio.to_thread(path.open, "rb", 0) as file:
                while chunk := await asyncio.to_thread(file.read, COPY_BYTES):
                    yield chunk
        except OSError as error:
            raise self._out_of_reach(error) from error

    def _sweep(self, in_use: frozenset[str], grace_seconds: float) -> int:
        unused = [path for path in self._folder.iterdir() if _is_ours(path.name) and path.name not in in_use]
        removed = 0
        for path in unused:
            # Other processes sweep, too.
            with suppress(FileNotFoundError):
                # Absolute, so that files from before the clock was set back do not stay for ever.
                if abs(time.time() - path.stat().st_ctime) > grace_seconds:
                    path.unlink()
                    removed += 1
        return removed

    def _check(self) -> None:
        probe = self._folder / f"{TEMPORARY_PREFIX}{uuid.uuid4().hex}"
        try:
            probe.write_bytes(probe.name.encode())
            _sync_file(probe)
            if probe.read_bytes() != probe.name.encode():
                raise OSError(errno.EIO, "What was written does not come back", str(probe))
        finally:
            probe.unlink(missing_ok=True)

    def _path(self, name: str) -> Path:
        return self._folder / checked_name(name)

    def _out_of_reach(self, error: OSError) -> ServiceUnavailable:
        return ServiceUnavailable(
            "The folder of the recordings cannot be used. Try again in a moment; if it stays, have the operator check "
            "that SPOOL_URL (by default JOBS_DIR) is mounted, has room and belongs to the service's user.",
            f"{self._folder}: {error.strerror or type(error).__name__}",
        )


def recording_lost() -> RecordingLost:
    """The error for a file that is no longer in the spool."""
    return RecordingLost("The recording of the job is gone from the store of recordings. Submit it again.")


def _damaged(recording: Recording, found: str) -> ServiceUnavailable:
    return ServiceUnavailable(
        "The recording did not come back from the store as it was kept. It is tried again.",
        f"Found {found}; kept were {recording.size} bytes, SHA-256 {recording.sha256}.",
    )


def _is_ours(name: str) -> bool:
    return JOB_NAME.fullmatch(name) is not None or name.startswith(TEMPORARY_PREFIX)


def _disk(path: Path) -> tuple[int, str]:
    """The file system that a folder is on, or will be on when it is made, and where that is mounted.

    Between two mounts of one file system, such as two volumes of a container, nothing can be renamed or linked.
    """
    path = path.resolve()
    existing = next(folder for folder in (path, *path.parents) if folder.exists())
    mounts = [_unescaped(line.split()[4]) for line in MOUNTS.read_text(errors="surrogateescape").splitlines()]
    return existing.stat().st_dev, max((mount for mount in mounts if path.is_relative_to(mount)), key=len, default="")


def _unescaped(mount: str) -> str:
    """proc(5): blanks, line ends and backslashes are octal numbers there."""
    return re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), mount)


def _sync_file(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
