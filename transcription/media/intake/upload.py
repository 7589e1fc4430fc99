"""A file arrives: from a multipart request to one file under TEMP_DIR, hashed and bounded on the way."""

from __future__ import annotations

import asyncio
import fcntl
import hashlib
import os
import uuid
from collections.abc import AsyncIterable, AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import BinaryIO

from python_multipart.exceptions import MultipartParseError
from python_multipart.multipart import MultipartParser, parse_options_header

from transcription.core.errors import FileTooLarge, InvalidParameter
from transcription.core.settings import Settings

UPLOAD_PREFIX = "upload-"
FILE_FIELD = "file"
MAX_FIELDS = 64
MAX_FIELD_BYTES = 64 * 1024
MAX_ALL_FIELDS_BYTES = 256 * 1024  # of all fields together, which are kept in memory
MAX_PART_HEADER_BYTES = 8 * 1024
MAX_NAME_CHARACTERS = 255
FORM_OVERHEAD = 1024 * 1024  # bytes of a request beside the file: fields, headers, boundaries
WRITE_BYTES = 1024 * 1024  # written at once, so that a slow disk holds a thread and not the event loop
SYNC_BYTES = 64 * 1024 * 1024  # on the disk before more is taken: a job's file is synced before the job is accepted


@dataclass(slots=True)
class Upload:
    """A complete file of ours on disk. Deleted by whoever made it, unless it was kept.

    filename, content_type: what the client called it, for messages and checks, never for a path.
    fields: the form's other fields in order, (name, value).
    """

    path: Path
    sha256: str
    size: int
    filename: str = ""
    content_type: str = ""
    fields: tuple[tuple[str, str], ...] = ()

    def keep_as(self, target: Path) -> None:
        """Move the file out of reach of the clean-up: a rename on one file system, never a copy."""
        self.path.rename(target)
        self.path = target


class NoFile(InvalidParameter):
    """A form without a file. fields: what it has instead."""

    def __init__(self, file_field: str, fields: tuple[tuple[str, str], ...]) -> None:
        super().__init__(f"The form has no file. Send the recording as the field '{file_field}'.")
        self.fields = fields


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

    stream: the request's body. content_length: as declared, None when unknown. field: the file's in the form.
    head: what the file lacks at its beginning and is put there.
    Raises FileTooLarge as soon as it is certain, InvalidParameter for anything but a form with one file.
    """
    boundary = _boundary(content_type, field)
    if content_length is not None and content_length > settings.max_file_size + FORM_OVERHEAD:
        raise too_large(settings)
    form = _Form(boundary, field)
    with Destination(settings) as destination:
        try:
            await destination.write(head)
            async for chunk in stream:
                form.feed(chunk)
                for data in form.take_file_data():
                    await destination.write(data)
            form.close()
            await destination.flush()
        except MultipartParseError as error:
            raise InvalidParameter("The request body is not a valid multipart form.", str(error)) from error
        if form.file_name is None:
            raise NoFile(field, tuple(form.fields))
        yield destination.upload(form.file_name, form.file_type, tuple(form.fields))


@asynccontextmanager
async def accept_file(
    path: Path, settings: Settings, filename: str = "", content_type: str = ""
) -> AsyncIterator[Upload]:
    """A file that is on disk already, as an Upload. It is not ours: nothing is deleted.

    Raises FileTooLarge.
    """
    size = path.stat().st_size
    if size > settings.max_file_size:
        raise too_large(settings)
    yield Upload(path, await asyncio.to_thread(_digest, path), size, filename or path.name, content_type)


@contextmanager
def held(upload: Upload, folder: Path) -> Iterator[Upload]:
    """The same file under a second name while the context lasts, so that work outlives the request that brought it.

    folder: on the same file system, since the name is a hard link; the sweep may go there.
    """
    path = folder / f"{UPLOAD_PREFIX}{uuid.uuid4().hex}"
    with upload.path.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_SH)  # for the sweep, as an upload's
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


def _boundary(content_type: str, field: str) -> bytes:
    kind, options = parse_options_header(content_type)
    if kind != b"multipart/form-data":
        raise InvalidParameter(
            f"Send the recording as multipart/form-data with the field '{field}'.",
            f"The request's Content-Type is '{content_type[:MAX_NAME_CHARACTERS]}'.",
        )
    boundary = options.get(b"boundary", b"")
    if not boundary:
        raise InvalidParameter("The Content-Type of the request names no boundary.")
    return boundary


class Destination:
    """Our file of one upload: named by us, locked while it is in use, gone when the context ends."""

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
        # Held until the end: the sweep takes files that nobody holds, whatever killed their owner.
        fcntl.flock(descriptor, fcntl.LOCK_SH)
        self._file = os.fdopen(descriptor, "wb", buffering=0)
        return self

    def __exit__(self, *_: object) -> None:
        kept = self._upload is not None and self._upload.path != self._path
        if not kept:
            self._path.unlink(missing_ok=True)
        self._file.close()

    async def write(self, data: bytes) -> None:
        """Take more of the file. Raises FileTooLarge."""
        self._size += len(data)
        if self._size > self._settings.max_file_size:
            raise too_large(self._settings)
        self._pending += data
        if len(self._pending) >= WRITE_BYTES:
            await self.flush()

    async def flush(self) -> None:
        """Everything is in the file when this returns."""
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
        """The whole file, which was flushed."""
        self._upload = Upload(self._path, self._hash.hexdigest(), self._size, filename, content_type, fields)
        return self._upload


@dataclass(slots=True)
class _Part:
    """The part of the form that is being read."""

    name: str = ""
    filename: str | None = None
    content_type: str = ""
    value: bytearray = field(default_factory=bytearray)


class _Form:
    """Callbacks of python-multipart, turned into fields and pieces of the one file."""

    def __init__(self, boundary: bytes, file_field: str) -> None:
        self._file_field = file_field
        self.fields: list[tuple[str, str]] = []
        self.file_name: str | None = None
        self.file_type = ""
        self._part = _Part()
        self._header = b""
        self._header_value = b""
        self._file_data: list[bytes] = []
        self._complete = False
        self._field_bytes = 0
        self._parser = MultipartParser(
            boundary,
            {
                "on_part_begin": self._begin,
                "on_part_data": self._data,
                "on_part_end": self._end,
                "on_header_field": self._header_field,
                "on_header_value": self._header_data,
                "on_header_end": self._header_end,
                "on_headers_finished": self._headers_finished,
                "on_end": self._finished,
            },
            max_header_size=MAX_PART_HEADER_BYTES,
        )

    def feed(self, chunk: bytes) -> None:
        self._parser.write(chunk)

    def close(self) -> None:
        if not self._complete:
            raise InvalidParameter("The form breaks off before its last boundary. Was the upload interrupted?")

    def take_file_data(self) -> list[bytes]:
        data, self._file_data = self._file_data, []
        return data

    def _begin(self) -> None:
        self._part = _Part()

    def _header_field(self, data: bytes, start: int, end: int) -> None:
        self._header += data[start:end]

    def _header_data(self, data: bytes, start: int, end: int) -> None:
        self._header_value += data[start:end]

    def _header_end(self) -> None:
        name, value = self._header.lower(), self._header_value
        self._header, self._header_value = b"", b""
        if name == b"content-disposition":
            _, options = parse_options_header(value.decode("latin-1"))
            self._part.name = header_text(options.get(b"name", b""))
            if b"filename" in options:
                self._part.filename = header_text(options[b"filename"])
        elif name == b"content-type":
            self._part.content_type = header_text(value)

    def _headers_finished(self) -> None:
        if self._part.filename is None:
            if len(self.fields) >= MAX_FIELDS:
                raise InvalidParameter(f"The form has more than {MAX_FIELDS} fields.")
            return
        if self._part.name != self._file_field:
            raise InvalidParameter(
                f"The form sends a file as '{self._part.name}'. Send the recording as the field '{self._file_field}'."
            )
        if self.file_name is not None:
            raise InvalidParameter("The form has more than one file. Send one file a request.")
        self.file_name, self.file_type = self._part.filename, self._part.content_type

    def _data(self, data: bytes, start: int, end: int) -> None:
        if self._part.filename is not None:
            self._file_data.append(data[start:end])
            return
        self._part.value += data[start:end]
        if len(self._part.value) > MAX_FIELD_BYTES:
            raise InvalidParameter(f"The field '{self._part.name}' is longer than {MAX_FIELD_BYTES} bytes.")
        self._field_bytes += end - start
        if self._field_bytes > MAX_ALL_FIELDS_BYTES:
            raise InvalidParameter(f"The form's fields have more than {MAX_ALL_FIELDS_BYTES} bytes together.")

    def _end(self) -> None:
        if self._part.filename is not None:
            return
        try:
            self.fields.append((self._part.name, self._part.value.decode()))
        except UnicodeDecodeError:
            raise InvalidParameter(f"The field '{self._part.name}' is not UTF-8 text.") from None

    def _finished(self) -> None:
        self._complete = True


def header_text(data: bytes) -> str:
    """A header's text for messages: whatever the client sent, short and printable."""
    text = data.decode(errors="replace")[:MAX_NAME_CHARACTERS]
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)
