"""A multipart request becomes one file in TEMP_DIR, or leaves none."""

import asyncio
import fcntl
import hashlib
import os
import shutil
import tracemalloc
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from tests.support.effort import examples
from tests.support.leftovers import files_under
from tests.unit.media.intake.forms import BOUNDARY, FORM, REFUSED, chunks, form, part
from transcription.core.errors import FileTooLarge, InvalidParameter, ServiceUnavailable
from transcription.core.settings import Settings
from transcription.media.intake.upload import accept_file, held, receive_upload
from transcription.media.intake.uploads_folder import uploads_folder


@pytest.fixture
def settings(tmp_path):
    return Settings(temp_dir=tmp_path / "uploads", max_file_size=100_000)


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
    return files_under(settings.temp_dir)


def test_an_upload_is_on_disk_with_its_hash_and_size(settings):
    content = bytes(range(256)) * 100

    async def check() -> None:
        async with received(form(part("file", content, "a.mp3", "audio/mpeg")), settings) as upload:
            assert upload.path.read_bytes() == content
            assert upload.sha256 == hashlib.sha256(content).hexdigest()
            assert (upload.size, upload.filename, upload.content_type) == (len(content), "a.mp3", "audio/mpeg")

    asyncio.run(check())


def test_the_content_is_not_in_memory_while_it_is_used(settings):
    body = form(part("file", bytes(90_000), "a.mp3"))

    async def check() -> None:
        tracemalloc.start()
        try:
            async with received(body, settings, size=len(body)):
                assert tracemalloc.get_traced_memory()[0] < len(body) / 2
        finally:
            tracemalloc.stop()

    asyncio.run(check())


def test_an_upload_is_deleted_when_the_context_ends(settings):
    async def check() -> None:
        async with received(form(part("file", b"x", "a.mp3")), settings) as upload:
            assert upload.path.exists()

    asyncio.run(check())
    assert left_over(settings) == []


def test_an_upload_is_deleted_when_the_context_ends_with_an_error(settings):
    async def check() -> None:
        async with received(form(part("file", b"x", "a.mp3")), settings):
            raise RuntimeError

    with pytest.raises(RuntimeError):
        asyncio.run(check())
    assert left_over(settings) == []


def test_an_upload_is_deleted_when_the_client_disconnects(settings):
    async def broken():
        yield form(part("file", b"x" * 5000, "a.mp3"))[:3000]
        raise ConnectionResetError

    async def check() -> None:
        async with receive_upload(broken(), FORM, None, settings):
            pass

    with pytest.raises(ConnectionResetError):
        asyncio.run(check())
    assert left_over(settings) == []


def test_a_kept_upload_is_renamed_and_not_copied(settings, tmp_path):
    target = tmp_path / "kept"

    async def check() -> int:
        async with received(form(part("file", b"content", "a.mp3")), settings) as upload:
            inode = upload.path.stat().st_ino
            upload.keep_as(target)
            return inode

    assert asyncio.run(check()) == target.stat().st_ino
    assert target.read_bytes() == b"content"


def test_the_clients_file_name_is_not_used_as_a_path(settings):
    async def check() -> None:
        async with received(form(part("file", b"x", "../../etc/passwd")), settings) as upload:
            assert upload.path.parent == uploads_folder(settings)
            assert "passwd" not in upload.path.name

    asyncio.run(check())


def test_only_the_owner_may_read_the_file(settings):
    async def check() -> None:
        async with received(form(part("file", b"x", "a.mp3")), settings) as upload:
            assert upload.path.stat().st_mode & 0o777 == 0o600

    asyncio.run(check())


def test_a_file_that_is_too_large_is_refused_as_soon_as_it_exceeds_the_limit(settings):
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


def test_a_content_length_above_the_limit_is_refused_before_the_body_is_read(settings):
    refuse(b"", settings, FileTooLarge, "100000", length=30_000_000)


@pytest.mark.parametrize("name", REFUSED)
def test_a_refused_form_leaves_no_file(settings, name):
    body, message = REFUSED[name]
    refuse(body, settings, InvalidParameter, message)


def test_a_body_that_is_not_a_form_leaves_no_file(settings):
    refuse(b"{}", settings, InvalidParameter, "multipart/form-data", content_type="application/json")


@hypothesis_settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=examples(30, 300)
)
@given(content=st.binary(max_size=3000), size=st.integers(1, 500))
def test_any_content_arrives_complete_in_chunks_of_any_size(settings, content, size):
    async def check() -> None:
        async with received(form(part("file", content, "a.bin"), part("x", b"y")), settings, size=size) as upload:
            assert upload.path.read_bytes() == content
            assert upload.fields == (("x", "y"),)

    asyncio.run(check())


@hypothesis_settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=examples(40, 400)
)
@given(body=st.binary(max_size=2000))
def test_any_body_is_accepted_or_refused_and_leaves_no_file(settings, body):
    async def check() -> None:
        async with received(f"--{BOUNDARY}\r\n".encode() + body, settings):
            pass

    with suppress(InvalidParameter):
        asyncio.run(check())
    assert left_over(settings) == []


def test_a_file_on_disk_is_accepted_and_not_deleted(settings, tmp_path):
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


def test_an_upload_arrives_in_a_folder_that_is_private(settings):
    settings.temp_dir.mkdir(mode=0o777)
    settings.temp_dir.chmod(0o1777)  # as /tmp

    async def check() -> None:
        async with received(form(part("file", b"x", "a.mp3")), settings) as upload:
            assert upload.path.parent.stat().st_mode & 0o777 == 0o700

    asyncio.run(check())
    assert settings.temp_dir.stat().st_mode & 0o7777 == 0o1777


def test_an_upload_is_refused_if_the_folder_belongs_to_someone_else(settings, tmp_path):
    uploads_folder(settings).parent.mkdir()
    uploads_folder(settings).symlink_to(tmp_path)
    refuse(form(part("file", b"x", "a.mp3")), settings, ServiceUnavailable, "TEMP_DIR is a link")


def test_temp_dir_is_created_again_if_it_disappears(settings):
    async def check() -> None:
        for _ in range(2):
            async with received(form(part("file", b"x", "a.mp3")), settings) as upload:
                assert upload.path.exists()
            shutil.rmtree(settings.temp_dir)

    asyncio.run(check())


def test_an_upload_whose_name_was_deleted_can_still_be_read(settings):
    async def check() -> None:
        async with received(form(part("file", b"content", "a.mp3")), settings) as upload:
            shutil.rmtree(settings.temp_dir)
            assert upload.reader().read() == b"content"

    asyncio.run(check())


def test_another_file_in_the_place_of_an_upload_is_not_read(settings, tmp_path):
    async def check() -> None:
        async with received(form(part("file", b"content", "a.mp3")), settings) as upload:
            upload.path.unlink()
            upload.path.symlink_to("/etc/passwd")
            assert upload.reader().read() == b"content"
            with held(upload) as own:
                assert own.reader().read() == b"content"

    asyncio.run(check())


def test_another_file_in_the_place_of_an_upload_is_not_kept(settings, tmp_path):
    async def check() -> None:
        async with received(form(part("file", b"content", "a.mp3")), settings) as upload:
            upload.path.unlink()
            upload.path.write_bytes(b"secret")
            with pytest.raises(FileNotFoundError, match="replaced"):
                upload.keep_as(tmp_path / "kept")

    asyncio.run(check())
    assert not (tmp_path / "kept").exists()


def test_a_reader_of_an_upload_cannot_write_it(settings):
    async def check() -> None:
        async with received(form(part("file", b"content", "a.mp3")), settings) as upload:
            assert fcntl.fcntl(upload.opened, fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDONLY

    asyncio.run(check())


def test_an_upload_leaves_no_descriptor_open(settings):
    before = len(list(Path("/proc/self/fd").iterdir()))

    async def check() -> None:
        async with received(form(part("file", b"x", "a.mp3")), settings) as upload, AsyncExitStack() as stack:
            stack.enter_context(held(upload))

    asyncio.run(check())
    refuse(form(part("file", b"x" * 200_000, "a.mp3")), settings, FileTooLarge, "larger")
    assert len(list(Path("/proc/self/fd").iterdir())) == before
