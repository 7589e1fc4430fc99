"""Malformed uploads and containers, found by Hypothesis: a few of them here, more with `make fuzz`.

FUZZ_SECONDS: for how long all properties together look; without it each tries a few dozen examples.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as effort
from hypothesis import strategies as st

from tests.support.leftovers import files_under
from tests.support.media_files import ALL_FORMATS, SPOKEN, convert, media_children
from transcription.core.errors import AudioTooLong, FileTooLarge, InvalidParameter, UndecodableMedia, UnsupportedFormat
from transcription.core.settings import Settings
from transcription.media.decode import decode
from transcription.media.intake.multipart import MAX_NAME_CHARACTERS
from transcription.media.intake.upload import Upload, receive_upload
from transcription.media.probe import probe

SECONDS = float(os.environ.get("FUZZ_SECONDS", "0"))
PROPERTIES = 4  # of this file and of test_requests.py
EXAMPLES = 100 if SECONDS else 30  # of a round
LONGEST_PROBE = 25.0  # seconds; nothing that was changed by a few bytes comes near

look = effort(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=not SECONDS,  # the suite does not fail by chance; a search may
    suppress_health_check=list(HealthCheck),
)
header_text = st.text(st.characters(max_codepoint=255), max_size=200)  # ISO 8859-1 is all that HTTP carries
boundaries = st.text("abcXYZ019'()+_,-./:=?", min_size=1, max_size=70)
pieces = st.sampled_from(
    [
        b"\r\n",
        b"\n",
        b"--",
        b'Content-Disposition: form-data; name="file"; filename="a.mp3"',
        b'Content-Disposition: form-data; name="language"',
        b"Content-Disposition: form-data; name*=utf-8''file; filename*=utf-8''%ff%00",
        b'content-disposition: attachment; filename="',
        b"Content-Type: audio/mpeg",
        b"Content-Transfer-Encoding: base64",
        b": ",
        b"\x00",
        b"\xff\xfe",
        b"a" * 9000,
    ]
)


def keep_looking(search: Callable[[], None]) -> None:
    """Run a property once, and again with other examples until its share of FUZZ_SECONDS is over."""
    end = time.monotonic() + SECONDS / PROPERTIES
    search()
    while time.monotonic() < end:
        search()


@pytest.fixture
def small(tmp_path: Path) -> Settings:
    return Settings(temp_dir=tmp_path / "uploads", max_file_size=20_000, max_duration=60, decode_timeout=10)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    folder = tmp_path_factory.mktemp("formats")
    return {extension: convert(SPOKEN, folder / f"a.{extension}").read_bytes() for extension in ALL_FORMATS}


async def in_chunks(body: bytes, sizes: list[int]) -> AsyncIterator[bytes]:
    at = 0
    while at < len(body):
        for size in sizes:
            yield body[at : at + size]
            at += size


def receive(body: bytes, sizes: list[int], content_type: str, length: int | None, settings: Settings) -> str:
    """What becomes of a request: the accepted file's size and hash, or the name of the refusal."""

    async def attempt() -> str:
        async with receive_upload(in_chunks(body, sizes), content_type, length, settings) as upload:
            assert upload.path.stat().st_size == upload.size <= settings.max_file_size
            assert len(upload.filename) <= MAX_NAME_CHARACTERS
            return upload.sha256 + repr(upload.fields)

    try:
        return asyncio.run(attempt())
    except (InvalidParameter, FileTooLarge) as refusal:
        return type(refusal).__name__


def test_any_form_is_accepted_or_refused_alike_however_it_is_cut(small: Settings) -> None:
    @look
    @given(
        boundary=boundaries,
        parts=st.lists(st.one_of(pieces, st.none(), st.binary(max_size=300)), max_size=25),
        sizes=st.lists(st.integers(1, 3000), min_size=1, max_size=5),
        length=st.one_of(st.none(), st.integers(0, 1 << 40)),
    )
    def search(boundary: str, parts: list[bytes | None], sizes: list[int], length: int | None) -> None:
        # None stands for the boundary, so that most bodies get past the first line.
        body = b"".join(f"--{boundary}\r\n".encode() if part is None else part for part in [None, *parts])
        body += f"\r\n--{boundary}--\r\n".encode()
        declared = f'multipart/form-data; boundary="{boundary}"'
        assert receive(body, sizes, declared, length, small) == receive(body, [len(body)], declared, length, small)
        assert files_under(small.temp_dir) == []

    keep_looking(search)


def test_any_declared_type_of_a_request_is_accepted_or_refused(small: Settings) -> None:
    @look
    @given(content_type=st.one_of(header_text, header_text.map("multipart/form-data; ".__add__)))
    def search(content_type: str) -> None:
        receive(b"--a\r\n", [5], content_type, None, small)

    keep_looking(search)


def test_any_damaged_container_is_read_or_refused_in_time(
    small: Settings, whole: dict[str, bytes], tmp_path: Path
) -> None:
    @look
    @given(data=st.data())
    def search(data: st.DataObject) -> None:
        content = bytearray(whole[data.draw(st.sampled_from(ALL_FORMATS))])
        positions = st.one_of(st.integers(0, 300), st.integers(0, len(content) - 1))  # headers are near the start
        for at, value in data.draw(st.lists(st.tuples(positions, st.binary(min_size=1, max_size=8)), max_size=6)):
            content[at : at + len(value)] = value
        path = tmp_path / "damaged"
        path.write_bytes(content[: data.draw(st.integers(20, len(content)))])
        start = time.monotonic()
        read(path, small)
        assert time.monotonic() - start < LONGEST_PROBE

    keep_looking(search)


def read(path: Path, settings: Settings) -> None:
    async def attempt() -> None:
        media = await probe(Upload(path, "", path.stat().st_size), settings)
        async for block in decode(media, settings):
            assert 0 < len(block) <= 16_000
        assert media_children() == []

    try:
        asyncio.run(attempt())
    except (UndecodableMedia, UnsupportedFormat, AudioTooLong):
        return
