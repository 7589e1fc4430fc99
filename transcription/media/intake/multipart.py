"""Multipart forms, parsed as they arrive: the fields, and the content of the one file in pieces."""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass, field
from urllib.parse import unquote_to_bytes

from python_multipart.exceptions import MultipartParseError
from python_multipart.multipart import MultipartParser, parse_options_header

from transcription.core.errors import InvalidParameter
from transcription.core.speakers import MAX_SPEAKERS

MAX_FIELDS = 64 + 2 * MAX_SPEAKERS  # a name and a sample of each
MAX_FIELD_BYTES = 64 * 1024
MAX_ALL_FIELDS_BYTES = 256 * 1024  # of all fields together: they are kept in memory
SAMPLES = "known_speaker_references"  # recordings of a few seconds: files, or fields with data URLs, which files become
FILE_AS_URL = "data:;base64,"
MAX_SAMPLE_BYTES = 3 * 1024 * 1024  # 10 s of stereo at 48 kHz and 16 bits are 2.6 MB in base64
# In memory as well, per request. MAX_SPEAKERS of 10 s as MP3 or Opus of 128 kbit/s; 29 as WAV of 16 kHz and 16 bits.
MAX_ALL_SAMPLES_BYTES = 12 * 1024 * 1024
MAX_PART_HEADER_BYTES = 8 * 1024
MAX_NAME_CHARACTERS = 255
MAX_BOUNDARY_BYTES = 256  # of the parser; RFC 2046 allows 70
JSON = "application/json"
# RFC 7578 forbids this spelling, but some clients have no other for names that are not ASCII. The charset is ignored:
# it is UTF-8 in practice, and the name is for messages only.
_EXTENDED_FILENAME = re.compile(rb";\s*filename\*\s*=\s*[^';\s]{0,40}'[^';]{0,40}'([^;\s]*)", re.IGNORECASE)


class NoFile(InvalidParameter):
    """The form has no file. fields: the fields it does have, (name, value)."""

    def __init__(self, file_field: str, fields: tuple[tuple[str, str], ...]) -> None:
        if any(name == file_field for name, _ in fields):
            message = no_filename(file_field)
        else:
            message = f"The form has no file. Send the recording as the field '{file_field}'."
        super().__init__(message, parameter=file_field)
        self.fields = fields


def no_filename(file_field: str) -> str:
    """The message for a recording in a part without a filename, as some clients send streams."""
    return (
        f"The part '{file_field}' of the form has no filename, so it is a text field and not a file. Add one to its "
        'Content-Disposition, such as filename="recording.mp3".'
    )


def read_boundary(content_type: str, file_field: str) -> bytes:
    """The boundary from a request's Content-Type.

    file_field: name of the file's field, for the message.
    Raises InvalidParameter unless the type is multipart/form-data with a boundary of at most MAX_BOUNDARY_BYTES.
    """
    kind, options = parse_options_header(content_type)
    if kind != b"multipart/form-data":
        raise InvalidParameter(
            f"Send the recording as multipart/form-data with the field '{file_field}'.",
            f"The request's Content-Type is '{content_type[:MAX_NAME_CHARACTERS]}'.",
        )
    boundary = options.get(b"boundary", b"")
    if not boundary:
        raise InvalidParameter("The Content-Type of the request names no boundary.")
    if len(boundary) > MAX_BOUNDARY_BYTES:
        raise InvalidParameter(
            f"The boundary in the Content-Type of the request has {len(boundary)} bytes. "
            f"Send one of at most {MAX_BOUNDARY_BYTES}."
        )
    return boundary


def header_text(data: bytes) -> str:
    """A header's value for use in messages: shortened to MAX_NAME_CHARACTERS, unprintable characters replaced."""
    text = data.decode(errors="replace")[:MAX_NAME_CHARACTERS]
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)


@dataclass(slots=True)
class _Part:
    """The part of the form that is being read. filename: None for a field, which is not a file."""

    name: str = ""
    filename: str | None = None
    content_type: str = ""
    value: bytearray = field(default_factory=bytearray)

    @property
    def is_sample(self) -> bool:
        """Whether it has the voice of a person."""
        return self.name.startswith(SAMPLES)

    @property
    def text(self) -> str:
        """The value; the content of a file as a data URL. Raises UnicodeDecodeError."""
        if self.filename is None:
            return self.value.decode()
        return FILE_AS_URL + base64.b64encode(self.value).decode()

    @property
    def size(self) -> int:
        """About the number of bytes of its text."""
        return len(self.value) if self.filename is None else len(self.value) * 4 // 3


class MultipartForm:
    """Turns the callbacks of python-multipart into fields and the pieces of one file.

    boundary: from the Content-Type, see `read_boundary`.
    file_field: name that the file's field must have.
    fields: the fields read so far, in order, (name, value).
    has_file: whether the headers of the file have been read.
    filename, content_type: of the file, as the client sent them; empty until its headers have been read.
    """

    def __init__(self, boundary: bytes, file_field: str) -> None:
        self._file_field = file_field
        self.fields: list[tuple[str, str]] = []
        self.filename = ""
        self.content_type = ""
        self.has_file = False
        self._part = _Part()
        self._header = b""
        self._header_value = b""
        self._file_data: list[bytes] = []
        self._complete = False
        self._field_bytes = 0
        self._sample_bytes = 0
        self._parser = MultipartParser(
            boundary,
            {
                "on_part_begin": self._on_part_begin,
                "on_part_data": self._on_part_data,
                "on_part_end": self._on_part_end,
                "on_header_field": self._on_header_field,
                "on_header_value": self._on_header_value,
                "on_header_end": self._on_header_end,
                "on_headers_finished": self._on_headers_finished,
                "on_end": self._on_end,
            },
            max_header_size=MAX_PART_HEADER_BYTES,
        )

    def feed(self, chunk: bytes) -> list[bytes]:
        """Parse the next bytes of the body, and return the file's content in them, in order.

        Raises InvalidParameter if the body is not a valid form, has more than one file or exceeds a limit.
        """
        try:
            self._parser.write(chunk)
        except MultipartParseError as error:
            raise InvalidParameter("The request body is not a valid multipart form.", str(error)) from error
        data, self._file_data = self._file_data, []
        return data

    def close(self) -> None:
        """Check that the form is complete. Raises NoFile, and InvalidParameter if the last boundary is missing."""
        if not self._complete:
            raise InvalidParameter("The form breaks off before its last boundary. Was the upload interrupted?")
        if not self.has_file:
            raise NoFile(self._file_field, tuple(self.fields))

    def _on_part_begin(self) -> None:
        self._part = _Part()

    def _on_header_field(self, data: bytes, start: int, end: int) -> None:
        self._header += data[start:end]

    def _on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._header_value += data[start:end]

    def _on_header_end(self) -> None:
        name, value = self._header.lower(), self._header_value
        self._header, self._header_value = b"", b""
        if name == b"content-disposition":
            _, options = parse_options_header(value.decode("latin-1"))
            self._part.name = header_text(options.get(b"name", b""))
            if b"filename" in options:
                self._part.filename = header_text(options[b"filename"])
            elif match := _EXTENDED_FILENAME.search(value):
                self._part.filename = header_text(unquote_to_bytes(match[1]))
        elif name == b"content-type":
            self._part.content_type = header_text(value)

    def _on_headers_finished(self) -> None:
        if not self._part.name:
            raise InvalidParameter(
                "A part of the form has no name. Add one to its Content-Disposition, such as "
                f'name="{self._file_field}".'
            )
        if self._part.name != self._file_field and self._part.content_type.lower().startswith(JSON):
            self._part.filename = None  # browsers send JSON as a Blob, to which they add a filename
        if self._is_field:
            if len(self.fields) >= MAX_FIELDS:
                raise InvalidParameter(f"The form has more than {MAX_FIELDS} fields.")
            return
        if self._part.name != self._file_field:
            raise InvalidParameter(
                f"The form sends a file as '{self._part.name}'. Send the recording as the field '{self._file_field}'."
            )
        if self.has_file:
            raise InvalidParameter("The form has more than one file. Send one file per request.")
        self.has_file = True
        self.filename, self.content_type = self._part.filename or "", self._part.content_type

    def _on_part_data(self, data: bytes, start: int, end: int) -> None:
        if not self._is_field:
            self._file_data.append(data[start:end])
            return
        if self._part.name == self._file_field:
            raise InvalidParameter(no_filename(self._file_field), parameter=self._file_field)
        before = self._part.size
        self._part.value += data[start:end]
        is_sample = self._part.is_sample
        longest = MAX_SAMPLE_BYTES if is_sample else MAX_FIELD_BYTES
        if self._part.size > longest:
            raise InvalidParameter(f"The field '{self._part.name}' is longer than {longest} bytes.")
        if is_sample:
            self._sample_bytes += self._part.size - before
        else:
            self._field_bytes += self._part.size - before
        if self._field_bytes > MAX_ALL_FIELDS_BYTES or self._sample_bytes > MAX_ALL_SAMPLES_BYTES:
            most = MAX_ALL_SAMPLES_BYTES if is_sample else MAX_ALL_FIELDS_BYTES
            raise InvalidParameter(f"The form's fields have more than {most} bytes together.")

    def _on_part_end(self) -> None:
        if not self._is_field:
            return
        try:
            self.fields.append((self._part.name, self._part.text))
        except UnicodeDecodeError:
            raise InvalidParameter(f"The field '{self._part.name}' is not UTF-8 text.") from None

    @property
    def _is_field(self) -> bool:
        return self._part.filename is None or self._part.is_sample

    def _on_end(self) -> None:
        self._complete = True
