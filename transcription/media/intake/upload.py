"""Uploads: from the body of a multipart request to one file in TEMP_DIR, hashed and limited in size on the way."""

from __future__ import annotations

import asyncio
import fcntl
import hashlib
import os
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import ExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, replace
from io import BufferedReader, FileIO
from pathlib import Path

from transcription.core.errors import FileTooLarge
from transcription.core.settings import Settings
from transcription.media.intake.multipart import MAX_ALL_SAMPLES_BYTES, MultipartForm, read_boundary
from transcription.media.intake.uploads_folder import new_name, open_uploads, unusable, uploads_folder
from transcription.system.disk import Space
from transcription.system.private_folder import PRIVATE_FILE

FILE_FIELD = "file"
# Bytes of a request besides the file: samples of voices, other fields, headers, boundaries.
FORM_OVERHEAD = MAX_ALL_SAMPLES_BYTES + 1024 * 1024
# Per write, in a thread, so that a slow disk does not block the event loop. Hundreds of uploads hold as much each.
WRITE_BYTES = 64 * 1024
SYNC_BYTES = 64 * 1024 * 1024  # flushed to disk as data arrives: a job's file is synced before the job is accepted

BeforeFile = Callable[[Sequence[tuple[str, str]]], Awaitable[None]]


@dataclass(slots=True)
class Upload:
    """A complete file on disk. The context manager that made it deletes it, unless `keep_as` moved it.

    path: its name, for renaming and deleting it only. Whatever reads the content uses `file`, so that what was checked
        is also what is decoded, even if the name is given to another file.
    sha256: of the content, hexadecimal.
    size: bytes.
    filename, content_type: as the client sent them; used in messages and checks, never in a path.
    fields: the form's other fields in order, (name, value).
    lenient: a name or type that contradicts the content is no reason to refuse the file.
    file: open for reading; opened here if None. Its position is shared, so use `reader` or `os.pread`.
    """

    path: Path
    sha256: str
    size: int
    filename: str = ""
    content_type: str = ""
    fields: tuple[tuple[str, str], ...] = ()
    file: FileIO | None = None
    lenient: bool = False

    def __post_init__(self) -> None:
        """Open the file, unless it is open."""
        if self.file is None:
            self.file = FileIO(self.path)

    @property
    def opened(self) -> FileIO:
        """The open file."""
        assert self.file is not None
        return self.file

    def reader(self) -> BufferedReader:
        """The content from its beginning. The caller closes it."""
        return reopened(self.opened.fileno())

    def keep_as(self, target: Path) -> None:
        """Move the file to where it is not deleted. `target` must be on the same file system: the file is renamed.

        Raises OSError, also if another file has taken its place.
        """
        self.path.rename(target)
        if not os.path.samestat(target.lstat(), os.fstat(self.opened.fileno())):
            target.unlink()
            raise FileNotFoundError("The upload was replaced by another file.")
        self.path = target


def reopened(descriptor: int) -> BufferedReader:
    """An open file, opened again for reading: with a position of its own, and also if its name was deleted."""
    return Path(f"/proc/self/fd/{descriptor}").open("rb")


@asynccontextmanager
async def receive_upload(
    stream: AsyncIterable[bytes],
    content_type: str,
    content_length: int | None,
    settings: Settings,
    *,
    field: str = FILE_FIELD,
    head: bytes = b"",
    before_file: BeforeFile | None = None,
) -> AsyncIterator[Upload]:
    """Read a multipart request into an Upload, which is deleted when the context ends.

    stream: the request's body.
    content_length: bytes declared for the body; None if unknown.
    field: name of the form field with the file.
    head: bytes to write in front of the file's content.
    before_file: awaited when the file begins, with the fields so far. What it raises ends the upload.
    Raises FileTooLarge as soon as the limit is exceeded, and InvalidParameter for anything but a form with one file.
    """
    boundary = read_boundary(content_type, field)
    if content_length is not None and content_length > settings.max_file_size + FORM_OVERHEAD:
        raise too_large(settings)
    form = MultipartForm(boundary, field)
    with Destination(settings) as destination:
        await destination.reserve(content_length or 0)
        await destination.write(head)
        await _write_file(destination, form, stream, before_file)
        await destination.flush()
        yield destination.upload(form.filename, form.content_type, tuple(form.fields))


async def _write_file(
    destination: Destination, form: MultipartForm, stream: AsyncIterable[bytes], before_file: BeforeFile | None
) -> None:
    """Write the file of a form. A function of its own, because its last bytes are freed when it returns."""
    async for chunk in stream:
        pieces = form.feed(chunk)
        if before_file and form.has_file:
            await before_file(form.fields)
            before_file = None
        for data in pieces:
            await destination.write(data)
    form.close()


@asynccontextmanager
async def accept_file(
    path: Path, settings: Settings, filename: str = "", content_type: str = ""
) -> AsyncIterator[Upload]:
    """A file that is already on disk, as an Upload. It is not deleted. Raises FileTooLarge."""
    with path.open("rb", buffering=0) as file:
        size = os.fstat(file.fileno()).st_size
        if size > settings.max_file_size:
            raise too_large(settings)
        digest = await asyncio.to_thread(_digest, file.fileno())
        yield Upload(path, digest, size, filename or path.name, content_type, file=file)


@contextmanager
def held(upload: Upload) -> Iterator[Upload]:
    """The same file, open while the context lasts, so that work can outlive the request that sent it."""
    with FileIO(os.dup(upload.opened.fileno())) as file:
        yield replace(upload, file=file)


def too_large(settings: Settings) -> FileTooLarge:
    """The error for more than MAX_FILE_SIZE bytes."""
    return FileTooLarge(
        f"The file is larger than {settings.max_file_size} bytes, the limit of this service. "
        "Send a compressed format such as MP3, split the file, or have MAX_FILE_SIZE raised."
    )


def _digest(descriptor: int) -> str:
    with reopened(descriptor) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class Destination:
    """The file that one upload is written to: locked while in use, and deleted when the context ends unless kept.

    Every method raises ServiceUnavailable if the file cannot be written, InsufficientStorage if the disk is full.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._name = new_name()
        self._path = uploads_folder(settings) / self._name
        self._hash = hashlib.sha256()
        self._size = 0
        self._unsynced = 0
        self._pending = bytearray()
        self._upload: Upload | None = None
        self._folder: int
        self._file: FileIO
        self._space: Space
        self._reading: FileIO

    def __enter__(self) -> Destination:
        with ExitStack() as stack:
            self._folder = stack.enter_context(open_uploads(self._settings))
            try:
                self._open(stack)
            except OSError as error:
                raise unusable(error, self._settings) from error
            self._resources = stack.pop_all()
        return self

    def _open(self, stack: ExitStack) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
        self._file = FileIO(os.open(self._name, flags, PRIVATE_FILE, dir_fd=self._folder), "w")
        stack.callback(self._close_written)
        self._space = Space(self._file.fileno(), self._settings.min_free_disk)
        stack.callback(self._space.forget)
        stack.callback(self._delete)
        # A decoder gets the file that can only be read.
        self._reading = FileIO(f"/proc/self/fd/{self._file.fileno()}")
        stack.callback(self._reading.close)
        # Held until the end. The sweep deletes files without a lock: their process is gone, however it ended.
        fcntl.flock(self._reading, fcntl.LOCK_SH)

    def __exit__(self, *_: object) -> None:
        self._resources.close()

    def _delete(self) -> None:
        kept = self._upload is not None and self._upload.path != self._path
        if not kept:
            with suppress(OSError):  # deleted by someone else; or else the sweep tries again
                os.unlink(self._name, dir_fd=self._folder)

    def _close_written(self) -> None:
        with suppress(OSError):  # the upload has failed already
            self._file.close()

    async def reserve(self, size: int) -> None:
        """Reserve space for a file of about `size` bytes; 0 if unknown. Before the first write."""
        try:
            await asyncio.to_thread(self._space.reserve, size)
        except OSError as error:
            raise unusable(error, self._settings) from error

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
            try:
                await asyncio.to_thread(self._write, block)
            except OSError as error:
                raise unusable(error, self._settings) from error

    def _write(self, block: bytes) -> None:
        self._hash.update(block)
        self._space.before_write(len(block))
        view = memoryview(block)
        while view:
            view = view[self._file.write(view) :]
        self._unsynced += len(block)
        if self._unsynced >= SYNC_BYTES:
            os.fdatasync(self._file.fileno())
            self._unsynced = 0

    def upload(self, filename: str, content_type: str, fields: tuple[tuple[str, str], ...] = ()) -> Upload:
        """The file as an Upload. Call `flush` first."""
        try:
            self._space.release()
            self._file.close()  # network file systems report errors of earlier writes here
        except OSError as error:
            raise unusable(error, self._settings) from error
        self._upload = Upload(
            self._path, self._hash.hexdigest(), self._size, filename, content_type, fields, self._reading
        )
        return self._upload
