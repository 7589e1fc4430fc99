"""Uploads: from the body of a multipart request to one file in TEMP_DIR, hashed and limited in size on the way."""

from __future__ import annotations

import asyncio
import fcntl
import hashlib
import os
import uuid
from collections.abc import AsyncIterable, AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

from transcription.core.errors import FileTooLarge
from transcription.core.settings import Settings
from transcription.media.intake.multipart import MultipartForm, read_boundary

UPLOAD_PREFIX = "upload-"
FILE_FIELD = "file"
FORM_OVERHEAD = 1024 * 1024  # bytes of a request besides the file: fields, headers, boundaries
WRITE_BYTES = 1024 * 1024  # per write, in a thread, so that a slow disk does not block the event loop
SYNC_BYTES = 64 * 1024 * 1024  # flushed to disk as data arrives: a job's file is synced before the job is accepted


@dataclass(slots=True)
class Upload:
    """A complete file on disk. The context manager that made it deletes it, unless `keep_as` moved it.

    path: inside TEMP_DIR, named by this service.
    sha256: of the content, hexadecimal.
    size: bytes.
    filename, content_type: as the client sent them; used in messages and checks, never in a path.
    fields: the form's other fields in order, (name, value).
    lenient: a name or type that contradicts the content is no reason to refuse the file.
    """

    path: Path
    sha256: str
    size: int
    filename: str = ""
    content_type: str = ""
    fields: tuple[tuple[str, str], ...] = ()
    lenient: bool = False

    def keep_as(self, target: Path) -> None:
        """Move the file to where it is not deleted. `target` must be on the same file system: the file is renamed."""
        self.path.rename(target)
        self.path = target


@asynccontextmanager
async def receive_upload(
    stream: AsyncIterable[bytes],
    content_type: str,
    content_length: int | None,
    settings: Settings,
    *,
    field: str = FILE_FIELD,
    head: bytes = b"",
) -> AsyncIterator[Upload]:
    """Read a multipart request into an Upload, which is deleted when the context ends.

    stream: the request's body.
    content_length: bytes declared for the body; None if unknown.
    field: name of the form field with the file.
    head: bytes to write in front of the file's content.
    Raises FileTooLarge as soon as the limit is exceeded, and InvalidParameter for anything but a form with one file.
    """
    boundary = read_boundary(content_type, field)
    if content_length is not None and content_length > settings.max_file_size + FORM_OVERHEAD:
        raise too_large(settings)
    form = MultipartForm(boundary, field)
    with Destination(settings) as destination:
        await destination.write(head)
        async for chunk in stream:
            for data in form.feed(chunk):
                await destination.write(data)
        form.close()
        await destination.flush()
        yield destination.upload(form.filename, form.content_type, tuple(form.fields))


@asynccontextmanager
async def accept_file(
    path: Path, settings: Settings, filename: str = "", content_type: str = ""
) -> AsyncIterator[Upload]:
    """A file that is already on disk, as an Upload. It is not deleted. Raises FileTooLarge."""
    size = path.stat().st_size
    if size > settings.max_file_size:
        raise too_large(settings)
    yield Upload(path, await asyncio.to_thread(_digest, path), size, filename or path.name, content_type)


@contextmanager
def held(upload: Upload, folder: Path) -> Iterator[Upload]:
    """The same file under a second name while the context lasts, so that work can outlive the request that sent it.

    folder: on the same file system, because the name is a hard link. `sweep` may run on it.
    """
    path = folder / f"{UPLOAD_PREFIX}{uuid.uuid4().hex}"
    with upload.path.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_SH)  # so that the sweep spares it, like an upload
        path.hardlink_to(upload.path)
        try:
            yield replace(upload, path=path)
        finally:
            path.unlink(missing_ok=True)


def too_large(settings: Settings) -> FileTooLarge:
    """The error for more than MAX_FILE_SIZE bytes."""
    return FileTooLarge(
        f"The file is larger than {settings.max_file_size} bytes, the limit of this service. "
        "Send a compressed format such as MP3, split the file, or have MAX_FILE_SIZE raised."
    )


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class Destination:
    """The file that one upload is written to: locked while in use, and deleted when the context ends unless kept."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._path = settings.temp_dir / f"{UPLOAD_PREFIX}{uuid.uuid4().hex}"
        self._hash = hashlib.sha256()
        self._size = 0
        self._unsynced = 0
        self._pending = bytearray()
        self._upload: Upload | None = None
        self._file: BinaryIO

    def __enter__(self) -> Destination:
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        # Held until the end. The sweep deletes files without a lock: their process is gone, however it ended.
        fcntl.flock(descriptor, fcntl.LOCK_SH)
        self._file = os.fdopen(descriptor, "wb", buffering=0)
        return self

    def __exit__(self, *_: object) -> None:
        kept = self._upload is not None and self._upload.path != self._path
        if not kept:
            self._path.unlink(missing_ok=True)
        self._file.close()

    async def write(self, data: bytes) -> None:
        """Append to the file, buffered. Raises FileTooLarge."""
        self._size += len(data)
        if self._size > self._settings.max_file_size:
            raise too_large(self._settings)
        self._pending += data
        if len(self._pending) >= WRITE_BYTES:
            await self.flush()

    async def flush(self) -> None:
        """Write the buffered data to the file."""
        block, self._pending = bytes(self._pending), bytearray()
        if block:
            await asyncio.to_thread(self._write, block)

    def _write(self, block: bytes) -> None:
        self._hash.update(block)
        view = memoryview(block)
        while view:
            view = view[self._file.write(view) :]
        self._unsynced += len(block)
        if self._unsynced >= SYNC_BYTES:
            os.fdatasync(self._file.fileno())
            self._unsynced = 0

    def upload(self, filename: str, content_type: str, fields: tuple[tuple[str, str], ...] = ()) -> Upload:
        """The file as an Upload. Call `flush` first."""
        self._upload = Upload(self._path, self._hash.hexdigest(), self._size, filename, content_type, fields)
        return self._upload
