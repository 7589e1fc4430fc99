"""API and worker on machines that share no folder: recordings and transcripts travel through an object store."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from tests.support.cluster import local_cluster
from tests.support.jobs import PATIENCE, finished, read_events, submit
from tests.support.recordings import Recordings
from tests.support.s3_server import S3Server, s3_server
from transcription.jobs.recordings.base import RESULT_SUFFIX

BUCKET = "recordings"


@dataclass(frozen=True, slots=True)
class Apart:
    """An API whose worker has nothing but Redis and the bucket in common with it. folder: of all uploads and copies."""

    api: httpx.Client
    store: S3Server
    uploads: Path


@pytest.fixture(scope="module")
def apart(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Apart]:
    if not shutil.which("redis-server"):
        pytest.skip("redis-server is needed: make tools")
    folder = tmp_path_factory.mktemp("apart")
    uploads = folder / "uploads"
    with s3_server() as store:
        store.make_bucket(BUCKET)
        environment = {
            **store.environment,
            "SPOOL_URL": f"s3://{BUCKET}/spool",
            "TEMP_DIR": str(uploads),
            "MAX_RESULT_IN_REDIS": "0",
            "WHISPER_MODEL": "demo",
            "WHISPER_LAYOUT": "1x1x4",
        }
        with (
            local_cluster(folder, environment, apis=1, workers=1) as cluster,
            httpx.Client(base_url=cluster.urls[0], timeout=PATIENCE) as api,
        ):
            yield Apart(api, store, uploads)


def test_a_recording_goes_to_the_worker_through_the_bucket_and_leaves_it_with_its_job(
    apart: Apart, recordings: Recordings
) -> None:
    job = submit(apart.api, recordings.talk("through.mp3", 7))
    state = finished(apart.api, job)
    assert state["status"] == "completed"
    assert apart.api.get(f"/jobs/{job}/result").json()["text"].strip()
    kept = apart.store.keys(BUCKET)
    assert [key for key in kept if not key.endswith(RESULT_SUFFIX)] == [f"spool/{job}"]  # for a retry
    assert len(kept) == 2
    assert [path for path in apart.uploads.rglob("*") if path.is_file()] == []
    apart.api.delete(f"/jobs/{job}").raise_for_status()
    assert apart.store.keys(BUCKET) == []


def test_a_transcript_in_the_bucket_is_read_corrected_renamed_and_followed_as_ever(
    apart: Apart, recordings: Recordings
) -> None:
    job = submit(apart.api, recordings.talk("corrected.mp3", 9), timestamp_granularity="word")
    finished(apart.api, job)
    before = apart.api.get(f"/jobs/{job}/result").json()
    document = apart.api.get(f"/jobs/{job}/transcript").json()
    document["segments"][0] = {**document["segments"][0], "text": "Corrected words", "speaker": "Ann", "words": []}
    apart.api.put(f"/jobs/{job}/transcript", json=document).raise_for_status()
    apart.api.post(f"/jobs/{job}/speakers", json={"Ann": "Bo"}).raise_for_status()
    for response_format in ("json", "srt", "vtt"):
        answer = apart.api.get(f"/jobs/{job}/result", params={"response_format": response_format})
        assert "Corrected words" in answer.text
    assert "Bo" in answer.text
    assert apart.api.get(f"/jobs/{job}/result?version=0").json() == before
    assert read_events(apart.api, job)[-1]["data"]["status"] == "completed"
    assert sum(key.endswith(RESULT_SUFFIX) for key in apart.store.keys(BUCKET)) == 3
    apart.api.delete(f"/jobs/{job}").raise_for_status()


def test_a_recording_that_is_gone_from_the_bucket_fails_its_job_with_the_reason(
    apart: Apart, recordings: Recordings
) -> None:
    job = submit(apart.api, recordings.talk("gone.mp3", 8))
    finished(apart.api, job)
    apart.store.delete(BUCKET, f"spool/{job}")
    apart.api.post(f"/jobs/{job}/retry").raise_for_status()
    state = finished(apart.api, job)
    assert (state["status"], state["error"]) == ("failed", "recording_lost")
