"""A multipart request becomes one file of ours, or nothing at all."""

import asyncio
import hashlib
from contextlib import asynccontextmanager, suppress

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from tests.support.effort import examples
from transcription.core.errors import FileTooLarge, InvalidParameter
from transcription.core.settings import Settings
from transcription.media.intake.upload import (
    MAX_ALL_FIELDS_BYTES,
    MAX_FIELD_BYTES,
    MAX_FIELDS,
    accept_file,
    receive_upload,
)

BOUNDARY = "frontier"
FORM = f"multipart/form-data; boundary={BOUNDARY}"


@pytest.fixture
def settings(tmp_path):
    return Settings(temp_dir=tmp_path / "uploads", max_file_size=100_000)


def part(name: str, value: bytes, filename: str | None = None, content_type: str = "") -> bytes:
    header = f'Content-Disposition: form-data; name="{name}"'
    if filename is not None:
        header += f'; filename="{filename}"'
    if content_type:
        header += f"\r\nContent-Type: {content_type}"
    return f"--{BOUNDARY}\r\n{header}\r\n\r\n".encode() + value + b"\r\n"


def form(*parts: bytes) -> bytes:
    return b"".join(parts) + f"--{BOUNDARY}--\r\n".encode()


async def chunks(body: bytes, size: int = 1000):
    for start in range(0, len(body), size):
        yield body[start : start + size]


@asynccontextmanager
async def received(
    body: bytes, settings: Settings, content_type: str = FORM, length: int | None = None, size: int = 1000
):
    async with receive_upload(chunks(body, size), content_type, length, settings) as upload:
        yield upload


def refuse(body: bytes, settings: Settings, error: type[Exception], match: str, **options) -> None:
    async def attempt() -> None:
        async with received(body, settings, **options):
            pass

    with pytest.raises(error, match=match):
        asyncio.run(attempt())
    assert left_over(settings) == []


def left_over(settings: Settings) -> list:
    return list(settings.temp_dir.iterdir()) if settings.temp_dir.exists() else []


def test_the_file_is_on_disk_with_its_hash_and_size(settings):
    content = bytes(range(256)) * 100

    async def check() -> None:
        async with received(form(part("file", content, "a.mp3", "audio/mpeg")), settings) as upload:
            assert upload.path.read_bytes() == content
            assert upload.sha256 == hashlib.sha256(content).hexdigest()
            assert (upload.size, upload.filename, upload.content_type) == (len(content), "a.mp3", "audio/mpeg")

    asyncio.run(check())


def test_the_file_is_gone_when_the_context_ends(settings):
    async def check() -> None:
        async with received(form(part("file", b"x", "a.mp3")), settings) as upload:
            assert upload.path.exists()

    asyncio.run(check())
    assert left_over(settings) == []


def test_the_file_is_gone_when_the_context_ends_with_an_error(settings):
    async def check() -> None:
        async with received(form(part("file", b"x", "a.mp3")), settings):
            raise RuntimeError

    with pytest.raises(RuntimeError):
        asyncio.run(check())
    assert left_over(settings) == []


def test_the_file_is_gone_when_the_client_breaks_off(settings):
    async def broken():
        yield form(part("file", b"x" * 5000, "a.mp3"))[:3000]
        raise ConnectionResetError

    async def check() -> None:
        async with receive_upload(broken(), FORM, None, settings):
            pass

    with pytest.raises(ConnectionResetError):
        asyncio.run(check())
    assert left_over(settings) == []


def test_a_kept_file_survives_as_the_same_file(settings, tmp_path):
    target = tmp_path / "kept"

    async def check() -> int:
        async with received(form(part("file", b"content", "a.mp3")), settings) as upload:
            inode = upload.path.stat().st_ino
            upload.keep_as(target)
            return inode

    assert asyncio.run(check()) == target.stat().st_ino
    assert target.read_bytes() == b"content"


def test_the_clients_name_never_names_our_file(settings):
    async def check() -> None:
        async with received(form(part("file", b"x", "../../etc/passwd")), settings) as upload:
            assert upload.path.parent == settings.temp_dir
            assert "passwd" not in upload.path.name

    asyncio.run(check())


def test_only_we_may_read_the_file(settings):
    async def check() -> None:
        async with received(form(part("file", b"x", "a.mp3")), settings) as upload:
            assert upload.path.stat().st_mode & 0o777 == 0o600

    asyncio.run(check())


def test_fields_come_in_order(settings):
    body = form(part("language", b"en"), part("file", b"x", "a.mp3"), part("model", "größe".encode()))

    async def check() -> None:
        async with received(body, settings) as upload:
            assert upload.fields == (("language", "en"), ("model", "größe"))

    asyncio.run(check())


def test_too_much_is_refused_when_it_crosses_the_limit_and_not_later(settings):
    taken = 0

    async def endless():
        nonlocal taken
        yield part("file", b"", "a.mp3")[:-2]
        while True:
            taken += 1000
            yield b"x" * 1000

    async def check() -> None:
        async with receive_upload(endless(), FORM, None, settings):
            pass

    with pytest.raises(FileTooLarge, match="100000 bytes"):
        asyncio.run(check())
    assert taken <= settings.max_file_size + 2000
    assert left_over(settings) == []


def test_too_much_is_refused_at_once_when_it_is_declared(settings):
    refuse(b"", settings, FileTooLarge, "100000", length=3_000_000)


def test_a_body_that_is_no_form_is_refused(settings):
    refuse(b"{}", settings, InvalidParameter, "multipart/form-data", content_type="application/json")


def test_a_form_without_boundary_is_refused(settings):
    refuse(b"", settings, InvalidParameter, "boundary", content_type="multipart/form-data")


def test_a_form_without_a_file_is_refused(settings):
    refuse(form(part("language", b"en")), settings, InvalidParameter, "no file")


def test_a_form_with_two_files_is_refused(settings):
    refuse(form(part("file", b"a", "a.mp3"), part("file", b"b", "b.mp3")), settings, InvalidParameter, "more than one")


def test_a_file_under_another_name_is_refused_with_the_right_one(settings):
    refuse(form(part("audio", b"a", "a.mp3")), settings, InvalidParameter, "as the field 'file'")


def test_a_form_that_breaks_off_is_refused(settings):
    refuse(part("file", b"abc", "a.mp3"), settings, InvalidParameter, "breaks off")


def test_garbage_is_refused(settings):
    refuse(b"garbage" * 10, settings, InvalidParameter, "not a valid multipart form")


def test_too_many_fields_are_refused(settings):
    refuse(form(*[part(f"f{n}", b"x") for n in range(MAX_FIELDS + 1)]), settings, InvalidParameter, "more than 64")


def test_a_huge_field_is_refused(settings):
    refuse(form(part("prompt", b"x" * (MAX_FIELD_BYTES + 1))), settings, InvalidParameter, "longer than")


def test_many_large_fields_are_refused(settings):
    fields = [part(f"f{n}", b"x" * MAX_FIELD_BYTES) for n in range(MAX_ALL_FIELDS_BYTES // MAX_FIELD_BYTES + 1)]
    refuse(form(*fields), settings, InvalidParameter, "bytes together")


def test_a_field_that_is_not_text_is_refused(settings):
    refuse(form(part("language", b"\xff\xfe")), settings, InvalidParameter, "UTF-8")


@hypothesis_settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=examples(30, 300)
)
@given(content=st.binary(max_size=3000), size=st.integers(1, 500))
def test_any_content_arrives_whole_however_the_network_cuts_it(settings, content, size):
    async def check() -> None:
        async with received(form(part("file", content, "a.bin"), part("x", b"y")), settings, size=size) as upload:
            assert upload.path.read_bytes() == content
            assert upload.fields == (("x", "y"),)

    asyncio.run(check())


@hypothesis_settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=examples(40, 400)
)
@given(body=st.binary(max_size=2000))
def test_any_body_is_accepted_or_refused_and_leaves_nothing(settings, body):
    async def check() -> None:
        async with received(f"--{BOUNDARY}\r\n".encode() + body, settings):
            pass

    with suppress(InvalidParameter):
        asyncio.run(check())
    assert left_over(settings) == []


def test_a_file_on_disk_is_accepted_and_stays(settings, tmp_path):
    path = tmp_path / "talk.mp3"
    path.write_bytes(b"content")

    async def check() -> None:
        async with accept_file(path, settings) as upload:
            assert (upload.path, upload.filename, upload.size) == (path, "talk.mp3", 7)
            assert upload.sha256 == hashlib.sha256(b"content").hexdigest()

    asyncio.run(check())
    assert path.exists()


def test_a_file_on_disk_that_is_too_large_is_refused(settings, tmp_path):
    path = tmp_path / "talk.mp3"
    path.write_bytes(b"x" * (settings.max_file_size + 1))

    async def check() -> None:
        async with accept_file(path, settings):
            pass

    with pytest.raises(FileTooLarge):
        asyncio.run(check())
