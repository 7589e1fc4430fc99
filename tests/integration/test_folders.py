"""Folders that others use, that vanish while the service runs, and that are too small for an upload; their sweep."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path

import httpx
import numpy as np
import pytest

from tests.support.answers import assert_error
from tests.support.clips import SpokenClip, shortest_clips
from tests.support.jobs import PATIENCE, submit
from tests.support.leftovers import files_under
from tests.support.media_files import write_wav
from tests.support.service import DidNotStart, LocalService, connected, serve
from tests.support.small_disk import small_disk
from tests.support.waiting import wait_until

MIB = 1 << 20
DISK, FREE = 96 * MIB, 32 * MIB  # size of the disk of the service, and what has to stay free there
TOO_LARGE, FITS_ONCE = 80 * MIB, 36 * MIB
OLD = 86_400.0  # seconds since the epoch
UPLOADS = f"transcription-{os.geteuid()}"
FORM = {"Content-Type": "multipart/form-data; boundary=b"}
PART = b'--b\r\nContent-Disposition: form-data; name="%s"; filename="a.wav"\r\n\r\n'


@pytest.fixture(autouse=True)
def nothing_is_left() -> None:
    """Here the service shared by other files is not needed."""


@pytest.fixture(scope="module")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A small file system of its own, or else a folder."""
    folder = tmp_path_factory.mktemp("disk")
    with small_disk(folder, DISK):
        yield folder


def files_of_others(folder: Path) -> list[Path]:
    """What is found in /tmp, and more than a day old: also under the names that uploads once had."""
    (folder / "holidays").mkdir()
    names = ("notes.txt", "runner.sock", "upload-0123", f"upload-{'0' * 32}", "holidays/beach.mp3")
    for name in names:
        (folder / name).write_bytes(b"precious")
    os.mkfifo(folder / "pipe")
    paths = [*(folder / name for name in names), folder / "pipe", folder / "holidays"]
    for path in paths:
        os.utime(path, (OLD, OLD))
    return paths


@pytest.fixture(scope="module")
def others(disk: Path) -> list[Path]:
    """What others had in TEMP_DIR before the service started."""
    (disk / "temp").mkdir()
    (disk / "temp").chmod(0o1777)
    (disk / "jobs").mkdir(0o755)
    return files_of_others(disk / "temp")


@pytest.fixture(scope="module")
def service(disk: Path, others: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalService]:
    free = FREE if disk.is_mount() else shutil.disk_usage(disk).free - (DISK - FREE)
    settings = {
        "TEMP_DIR": str(disk / "temp"),
        "JOBS_DIR": str(disk / "jobs"),
        "MIN_FREE_DISK": str(free),
        "CLEANUP_INTERVAL": "1",
        "JOB_RESULT_TTL": "1",
    }
    with serve(tmp_path_factory.mktemp("service"), **settings) as running:
        yield running


@pytest.fixture(scope="module")
def client(service: LocalService) -> Iterator[httpx.Client]:
    with connected(service) as http:
        yield http


@pytest.fixture(scope="module")
def clip() -> SpokenClip:
    return shortest_clips()["en"]


def transcribed(client: httpx.Client, clip: SpokenClip) -> int:
    file = {"file": (clip.path.name, clip.path.read_bytes())}
    return client.post("/transcribe", files=file, headers={"Cache-Control": "no-store"}).status_code


def test_an_orphaned_upload_is_swept_and_the_files_of_others_are_not(
    client: httpx.Client, clip: SpokenClip, disk: Path, others: list[Path]
) -> None:
    assert transcribed(client, clip) == 200
    folder = disk / "temp" / UPLOADS
    odd, orphan = folder / f"upload-{'1' * 32}", folder / f"upload-{'2' * 32}"
    os.mkfifo(odd)
    orphan.write_bytes(b"x")
    os.utime(orphan, (OLD, OLD))
    assert wait_until(lambda: not orphan.exists())
    assert [path for path in [*others, odd] if not path.exists()] == []
    odd.unlink()


def test_a_finished_job_is_deleted_when_its_time_has_come(client: httpx.Client, clip: SpokenClip) -> None:
    job = submit(client, clip.path)
    assert wait_until(lambda: client.get(f"/status/{job}").status_code == 404, PATIENCE)


def test_what_the_service_writes_is_readable_by_no_other_user(
    client: httpx.Client, clip: SpokenClip, disk: Path
) -> None:
    file = {"file": (clip.path.name, clip.path.read_bytes())}
    assert client.post("/transcribe", files=file, data={"async": "true"}).status_code == 202
    written = files_under(disk / "jobs")
    assert any(path.name == "jobs.sqlite3-wal" for path in written)
    assert {stat.S_IMODE(path.stat().st_mode) for path in written if path.exists()} == {0o600}
    folders = [disk / "temp" / UPLOADS, disk / "jobs", *(path for path in (disk / "jobs").iterdir() if path.is_dir())]
    assert {stat.S_IMODE(folder.stat().st_mode) for folder in folders} == {0o700}
    assert stat.S_IMODE((disk / "temp").stat().st_mode) == 0o1777


def test_an_upload_that_does_not_fit_is_refused_before_it_is_read(service: LocalService, disk: Path) -> None:
    host = httpx.URL(service.url)
    connection = HTTPConnection(host.host, host.port, timeout=60)
    with closing(connection):
        connection.putrequest("POST", "/v1/audio/transcriptions")
        for name, value in {**FORM, "Content-Length": str(TOO_LARGE)}.items():
            connection.putheader(name, value)
        connection.endheaders(PART % b"file")  # and nothing more
        answer = connection.getresponse()
        assert (answer.status, answer.headers["Retry-After"]) == (503, "60")
        assert b"TEMP_DIR" in answer.read()
    assert files_under(disk / "temp" / UPLOADS) == []


@pytest.mark.parametrize(
    ("path", "field"), [("/transcribe", b"file"), ("/transcribe?async=true", b"file"), ("/asr", b"audio_file")]
)
def test_a_disk_that_fills_during_an_upload_of_unknown_length_is_reported(
    client: httpx.Client, disk: Path, path: str, field: bytes
) -> None:
    def endless() -> Iterator[bytes]:
        yield PART % field
        for _ in range(TOO_LARGE // MIB):
            yield bytes(MIB)

    answer = client.post(path, content=endless(), headers=FORM)
    assert_error(answer, 503, "insufficient_storage")
    assert answer.headers["Retry-After"] == "60"
    assert wait_until(lambda: not files_under(disk / "temp" / UPLOADS))


def test_temp_dir_may_vanish_while_the_service_runs(client: httpx.Client, clip: SpokenClip, disk: Path) -> None:
    shutil.rmtree(disk / "temp")
    assert transcribed(client, clip) == 200
    shutil.rmtree(disk / "temp")
    assert client.get("/health/ready").status_code == 200
    assert stat.S_IMODE((disk / "temp" / UPLOADS).stat().st_mode) == 0o700


def test_while_temp_dir_cannot_be_used_the_reason_is_given(client: httpx.Client, clip: SpokenClip, disk: Path) -> None:
    shutil.rmtree(disk / "temp")
    (disk / "temp").write_bytes(b"")  # so that it cannot be created again
    file = {"file": (clip.path.name, clip.path.read_bytes())}
    answer = client.post("/transcribe", files=file)
    assert "TEMP_DIR" in assert_error(answer, 503, "service_unavailable")["message"]
    ready = client.get("/health/ready")
    assert ready.status_code == 503
    assert "TEMP_DIR" in ready.json()["reasons"]["disk_space"]
    assert client.get("/health/live").status_code == 200
    (disk / "temp").unlink()
    assert transcribed(client, clip) == 200
    ready = client.get("/health/ready")
    assert ready.json()["checks"]["background_tasks"] is True  # the sweep has survived it


def test_a_link_in_place_of_our_folder_stops_the_start_with_the_reason(tmp_path: Path) -> None:
    (tmp_path / "victim").mkdir()
    (tmp_path / "victim" / f"upload-{'0' * 32}").write_bytes(b"precious")
    (tmp_path / "temp").mkdir()
    (tmp_path / "temp" / UPLOADS).symlink_to(tmp_path / "victim")
    with (
        pytest.raises(DidNotStart, match=f"'{UPLOADS}' for uploads in TEMP_DIR is a link"),
        serve(tmp_path, TEMP_DIR=str(tmp_path / "temp")),
    ):
        pass
    assert len(files_under(tmp_path / "victim")) == 1


@pytest.mark.parametrize(
    ("query", "parts"),
    [("?async=true", ("file",)), ("", ("async", "file")), ("", ("file", "async"))],
    ids=["in the query", "before the file", "after the file"],
)
def test_a_job_whose_recording_fits_once_is_accepted_wherever_async_stands(
    client: httpx.Client, disk: Path, tmp_path: Path, query: str, parts: tuple[str, ...]
) -> None:
    def room() -> int:
        return shutil.disk_usage(disk).free - FREE

    if not disk.is_mount():
        pytest.skip("only root may mount a small disk")
    assert FITS_ONCE < room() < 2 * FITS_ONCE
    silence = write_wav(tmp_path / "silence.wav", np.zeros(FITS_ONCE // 2, np.int16)).read_bytes()
    form = {"file": ("silence.wav", silence), "async": (None, b"true")}
    answer = client.post(f"/transcribe{query}", files=[(name, form[name]) for name in parts])
    assert answer.status_code == 202, answer.text
    client.delete(f"/jobs/{answer.json()['job_id']}")
    assert wait_until(lambda: room() > FITS_ONCE)
