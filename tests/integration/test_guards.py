"""New work is refused while there is no room for it; everything else goes on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from tests.support.answers import assert_error
from tests.support.clips import SpokenClip
from tests.support.leftovers import leftovers
from tests.support.service import LocalService, connected, serve
from tests.support.waiting import wait_until


@dataclass(frozen=True, slots=True)
class FullDisk:
    """A service on a disk with too little room, a client of it, and the folder with its files."""

    service: LocalService
    client: httpx.Client
    folder: Path


@pytest.fixture(scope="module")
def full_disk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FullDisk]:
    folder = tmp_path_factory.mktemp("full-disk")
    settings = {"MIN_FREE_DISK": str(1 << 60)}
    with serve(folder, wait_until_ready=False, **settings) as service, connected(service) as client:
        yield FullDisk(service, client, folder)


def test_with_too_little_memory_new_work_is_refused_and_reads_go_on(tmp_path: Path, spoken_clip: SpokenClip) -> None:
    file = {"file": (spoken_clip.path.name, spoken_clip.path.read_bytes())}
    with serve(tmp_path, MEMORY_LIMIT_PERCENT="1") as service, connected(service) as client:
        for path, fields in (
            ("/transcribe", {}),
            ("/transcribe", {"async": "true"}),
            ("/api/transcribe_job/submit", {}),
            ("/jobs/some-job/retry", {}),
            ("/api/transcribe_job/retry?task_id=some-job", {}),
        ):
            answer = client.post(path, files=file, data=fields)
            assert "MEMORY_LIMIT_PERCENT" in assert_error(answer, 503, "service_unavailable")["message"]
            assert int(answer.headers["retry-after"]) > 0
        assert client.get("/jobs").json()["jobs"] == []
        assert client.get("/health").status_code == 200


def test_with_too_little_disk_a_recording_is_refused_before_it_is_read(full_disk: FullDisk) -> None:
    # Not a form: reading it would give another error.
    headers = {"Content-Type": "multipart/form-data"}
    answer = full_disk.client.post("/transcribe", content=b"nothing", headers=headers)
    assert "MIN_FREE_DISK" in assert_error(answer, 503, "insufficient_storage")["message"]
    assert full_disk.client.get("/languages").status_code == 200


def test_a_disk_without_room_accepts_no_job(full_disk: FullDisk, spoken_clip: SpokenClip) -> None:
    file = {"file": (spoken_clip.path.name, spoken_clip.path.read_bytes())}
    for where in ({"params": {"async": "true"}}, {"data": {"async": "true"}}):
        answer = full_disk.client.post("/transcribe", files=file, **where)  # type: ignore[arg-type]
        assert "retry-after" in answer.headers
        assert_error(answer, 503, "insufficient_storage")
    assert full_disk.client.get("/jobs").json()["jobs"] == []
    assert list((full_disk.folder / "jobs" / "spool").iterdir()) == []
    assert wait_until(lambda: not leftovers(full_disk.service, full_disk.folder / "uploads"))
