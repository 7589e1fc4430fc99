"""A disk that fills is reported as such, wherever an upload is written, and nothing is left of it."""

import asyncio
import errno
import os
import resource
import signal
from collections import Counter
from io import FileIO

import pytest

from tests.support.leftovers import files_under
from tests.unit.media.intake.forms import FORM, chunks, form, part
from transcription.api.admission import disk_shortage
from transcription.core.errors import InsufficientStorage, ServiceUnavailable
from transcription.core.settings import Settings
from transcription.media.intake.upload import receive_upload
from transcription.system import disk

MIB = 1 << 20
BODY = form(part("file", bytes(4 * MIB), "a.wav"))


@pytest.fixture
def settings(tmp_path):
    return Settings(temp_dir=tmp_path / "uploads", min_free_disk=0)


def refused(settings, stream=None, length=None, kind=InsufficientStorage):
    async def receive():
        async with receive_upload(stream or chunks(BODY, 64 * 1024), FORM, length, settings):
            pass

    with pytest.raises(kind) as caught:
        asyncio.run(receive())
    assert files_under(settings.temp_dir) == []
    return caught.value


def test_a_file_that_may_not_grow_any_further(settings):
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (MIB, limits[1]))
    try:
        error = refused(settings)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, ignored)
    assert error.retry_after == 60
    assert "TEMP_DIR" in error.message


@pytest.mark.parametrize(("place", "setting"), [("temp", "TEMP_DIR"), ("jobs/uploads", "JOBS_DIR")])
def test_the_message_names_the_setting_of_the_full_disk(settings, tmp_path, place, setting):
    moved = settings.model_copy(update={"temp_dir": tmp_path / place, "jobs_dir": tmp_path / "jobs"})
    without_room = moved.model_copy(update={"min_free_disk": 1 << 60})
    assert f"left under {setting}" in refused(without_room).message
    assert f"free under {setting}" in disk_shortage(without_room)


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
@pytest.mark.parametrize("step", ["open", "write", "fdatasync", "close"])
def test_every_step_may_find_the_disk_full(settings, monkeypatch, step, code):
    def full(*_, **__):
        raise OSError(code, os.strerror(code))

    opened = os.open

    def full_for_uploads(*arguments, dir_fd=None):
        return opened(*arguments) if dir_fd is None else full()

    class Full(FileIO):
        def write(self, data):
            return full() if step == "write" else super().write(data)

        def close(self):
            was_written = not self.closed and self.writable()
            super().close()
            if step == "close" and was_written:
                full()

    if step == "open":
        monkeypatch.setattr(os, "open", full_for_uploads)
    elif step == "fdatasync":
        monkeypatch.setattr("transcription.media.intake.upload.SYNC_BYTES", MIB)
        monkeypatch.setattr(os, "fdatasync", full)
    else:
        monkeypatch.setattr("transcription.media.intake.upload.FileIO", Full)
    assert refused(settings).code == "insufficient_storage"


def test_an_error_of_the_disk_is_not_taken_for_a_full_one(settings, monkeypatch):
    def broken(*_):
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr("transcription.media.intake.upload.FileIO", type("Broken", (FileIO,), {"write": broken}))
    assert refused(settings, kind=ServiceUnavailable).code == "service_unavailable"


def test_an_upload_that_does_not_fit_is_refused_before_any_of_it_is_read(settings, monkeypatch):
    async def unread():
        pytest.fail("the body was read")
        yield b""

    monkeypatch.setattr(disk, "free_space", lambda _: 3 * MIB)
    error = refused(settings, unread(), length=len(BODY))
    assert "3145728 bytes are free" in error.detail


def test_uploads_in_flight_share_the_space(settings, monkeypatch):
    """The first declares most of the space and has sent nothing yet."""
    monkeypatch.setattr(disk, "_allocated", lambda *_: False)
    monkeypatch.setattr(disk, "_promised", Counter())
    free = disk.free_space
    monkeypatch.setattr(disk, "free_space", lambda file: min(6 * MIB, free(file)) - sum(disk._promised.values()))

    async def scenario():
        received, rest = asyncio.Event(), asyncio.Event()

        async def slow():
            received.set()
            await rest.wait()
            yield BODY

        async def receive(stream):
            async with receive_upload(stream, FORM, len(BODY), settings) as upload:
                return upload.size

        first = asyncio.create_task(receive(slow()))
        await received.wait()
        with pytest.raises(InsufficientStorage):
            await receive(chunks(BODY, 64 * 1024))
        rest.set()
        assert await first == 4 * MIB
        assert await receive(chunks(BODY, 64 * 1024)) == 4 * MIB

    asyncio.run(scenario())
