"""New work is refused while there is no room for it; everything else goes on."""

from __future__ import annotations

from pathlib import Path

import httpx

from tests.support.answers import assert_error
from tests.support.clips import SpokenClip
from tests.support.service import local_service


def test_with_too_little_memory_new_work_is_refused_and_reads_go_on(tmp_path: Path, spoken_clip: SpokenClip) -> None:
    environment = {
        "MEMORY_LIMIT_PERCENT": "1",
    }
    file = {"file": (spoken_clip.path.name, spoken_clip.path.read_bytes())}
    with (
        local_service(environment, tmp_path / "log") as service,
        httpx.Client(base_url=service.url, timeout=30) as client,
    ):
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


def test_with_too_little_disk_a_recording_is_refused_before_it_is_read(tmp_path: Path) -> None:
    environment = {
        "MIN_FREE_DISK": str(1 << 60),
    }
    with (
        local_service(environment, tmp_path / "log", wait_until_ready=False) as service,
        httpx.Client(base_url=service.url, timeout=30) as client,
    ):
        # No form at all: whoever reads it would say so.
        answer = client.post("/transcribe", content=b"nothing", headers={"Content-Type": "multipart/form-data"})
        assert "MIN_FREE_DISK" in assert_error(answer, 503, "insufficient_storage")["message"]
        assert client.get("/languages").status_code == 200
