"""Stored jobs that cannot be read, seen through the HTTP API of a service that serves others meanwhile."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from tests.resilience.bad_rows import DAMAGES, UNREADABLE, put_in_sqlite
from tests.support.clips import shortest_clips
from tests.support.jobs import finished, read_events, submit
from tests.support.service import connected, serve
from transcription.jobs.store.sqlite.database import DATABASE_NAME


@dataclass(frozen=True, slots=True)
class Poisoned:
    """A service on a store with jobs that cannot be read. jobs: their ids, by the damaged column."""

    http: httpx.Client
    jobs: dict[str, str]
    folder: Path


@pytest.fixture(scope="module")
def poisoned(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Poisoned]:
    folder = tmp_path_factory.mktemp("poisoned")
    jobs = dict(zip(DAMAGES, put_in_sqlite(folder / "jobs"), strict=True))
    with serve(folder) as service, connected(service) as http:
        yield Poisoned(http, jobs, folder)


@pytest.fixture(scope="module")
def completed(poisoned: Poisoned) -> str:
    job = submit(poisoned.http, shortest_clips()["en"].path)
    assert finished(poisoned.http, job)["status"] == "completed"
    return job


@pytest.mark.parametrize("column", DAMAGES)
def test_a_job_that_cannot_be_read_is_failed_with_the_reason(poisoned: Poisoned, completed: str, column: str) -> None:
    http, job = poisoned.http, poisoned.jobs[column]
    status = finished(http, job)
    assert (status["status"], status["error"]) == ("failed", UNREADABLE)
    listed = {item["job_id"]: item["status"] for item in http.get("/jobs").json()["jobs"]}
    assert (listed[job], listed[completed]) == ("failed", "completed")
    assert [event["event"] for event in read_events(http, job)][-1] == "failed"


@pytest.mark.parametrize("column", ["request", "recording"])
def test_what_a_job_that_cannot_be_read_is_asked_for_is_refused_with_the_reason(
    poisoned: Poisoned, column: str
) -> None:
    http, job = poisoned.http, poisoned.jobs[column]
    answers = [
        http.get(f"/jobs/{job}/result"),
        http.post(f"/jobs/{job}/retry"),
        http.get("/api/transcribe_job/get", params={"task_id": job}),
    ]
    assert [(answer.status_code, answer.json()["error"]) for answer in answers] == [(409, UNREADABLE)] * 3
    assert f"{column}: " in answers[0].json()["detail"]


def test_a_job_that_cannot_be_read_can_be_deleted(poisoned: Poisoned) -> None:
    http, job = poisoned.http, poisoned.jobs["layout"]
    assert http.delete(f"/jobs/{job}").status_code == 200
    assert http.get(f"/status/{job}").status_code == 404
    poisoned.jobs.pop("layout")


def test_a_completed_job_whose_transcript_is_damaged_fails_and_can_be_retried(
    poisoned: Poisoned, completed: str
) -> None:
    with closing(sqlite3.connect(poisoned.folder / "jobs" / DATABASE_NAME, timeout=60)) as connection, connection:
        connection.execute("UPDATE results SET transcript = substr(transcript, 1, 20)")
    # In a format that was not rendered before: bytes that were asked for a moment ago are kept.
    srt = poisoned.http.get(f"/jobs/{completed}/result", params={"response_format": "srt"})
    assert srt.json()["error"] == UNREADABLE
    status = poisoned.http.get(f"/status/{completed}").json()
    assert (status["status"], status["error"]) == ("failed", UNREADABLE)
    assert poisoned.http.post(f"/jobs/{completed}/retry").status_code == 202
    assert finished(poisoned.http, completed)["result"]["text"]
