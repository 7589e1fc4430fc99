"""Multipart bodies, and those that must be refused."""

from __future__ import annotations

from collections.abc import AsyncIterator

from transcription.media.intake.multipart import (
    MAX_ALL_FIELDS_BYTES,
    MAX_FIELD_BYTES,
    MAX_FIELDS,
    MAX_SAMPLE_BYTES,
    SAMPLES,
)

BOUNDARY = "frontier"
FORM = f"multipart/form-data; boundary={BOUNDARY}"


def part(name: str, value: bytes, filename: str | None = None, content_type: str = "") -> bytes:
    header = f'Content-Disposition: form-data; name="{name}"'
    if filename is not None:
        header += f'; filename="{filename}"'
    if content_type:
        header += f"\r\nContent-Type: {content_type}"
    return f"--{BOUNDARY}\r\n{header}\r\n\r\n".encode() + value + b"\r\n"


def form(*parts: bytes) -> bytes:
    return b"".join(parts) + f"--{BOUNDARY}--\r\n".encode()


async def chunks(body: bytes, size: int = 1000) -> AsyncIterator[bytes]:
    for start in range(0, len(body), size):
        yield body[start : start + size]


TOO_MANY_LARGE_FIELDS = MAX_ALL_FIELDS_BYTES // MAX_FIELD_BYTES + 1

# name: (body, part of the message)
REFUSED = {
    "no file": (form(part("language", b"en")), "no file"),
    "file without a filename": (form(part("file", b"ID3\xff\xfe")), "has no filename"),
    "empty file without a filename": (form(part("file", b"")), "has no filename"),
    "two files": (form(part("file", b"a", "a.mp3"), part("file", b"b", "b.mp3")), "more than one"),
    "wrong field name": (form(part("audio", b"a", "a.mp3")), "as the field 'file'"),
    "incomplete": (part("file", b"abc", "a.mp3"), "breaks off"),
    "not a form": (b"garbage" * 10, "not a valid multipart form"),
    "too many fields": (form(*[part(f"f{n}", b"x") for n in range(MAX_FIELDS + 1)]), f"more than {MAX_FIELDS}"),
    "long field": (form(part("prompt", b"x" * (MAX_FIELD_BYTES + 1))), "longer than"),
    "long sample": (form(part(f"{SAMPLES}[]", b"x" * (MAX_SAMPLE_BYTES + 1))), "longer than"),
    "long samples": (form(*[part(SAMPLES, b"x" * MAX_SAMPLE_BYTES)] * 9), "together"),
    "long fields": (form(*[part(f"f{n}", b"x" * MAX_FIELD_BYTES) for n in range(TOO_MANY_LARGE_FIELDS)]), "together"),
    "field not UTF-8": (form(part("language", b"\xff\xfe")), "UTF-8"),
}
