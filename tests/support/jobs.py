"""Jobs as a client of the HTTP API handles them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx

from tests.support.waiting import wait_until

PATIENCE = 180.0  # seconds; a job of these tests takes a few on an idle machine


def post(
    http: httpx.Client, path: Path, headers: dict[str, str] | None = None, query: str = "", **fields: str
) -> httpx.Response:
    """Send one recording to /transcribe, parameters as form fields."""
    file = {"file": (path.name, path.read_bytes())}
    return http.post(f"/transcribe{query}", files=file, data=fields, headers=headers or {})


def submit(http: httpx.Client, path: Path, headers: dict[str, str] | None = None, **fields: str) -> str:
    """The id of a new job."""
    answer = post(http, path, headers, **{"async": "true", **fields})
    assert answer.status_code == 202, answer.text
    return str(answer.json()["job_id"])


def status(http: httpx.Client, job_id: str) -> dict[str, Any]:
    """The job's snapshot."""
    answer = http.get(f"/status/{job_id}")
    assert answer.status_code == 200, answer.text
    document: dict[str, Any] = answer.json()
    return document


def newest(url: str) -> dict[str, Any]:
    """The newest job of a service, as it is listed; empty if it has none."""
    jobs: list[dict[str, Any]] = httpx.get(f"{url}/jobs", params={"limit": 1}).json()["jobs"]
    return jobs[0] if jobs else {}


def finished(http: httpx.Client, job_id: str) -> dict[str, Any]:
    """How the job ended."""
    ended = wait_until(lambda: status(http, job_id)["status"] not in ("queued", "processing"), PATIENCE)
    assert ended, status(http, job_id)
    return status(http, job_id)


def read_events(http: httpx.Client, job: str, last: str = "", most: int = 10_000) -> list[dict[str, Any]]:
    """Events of a job until its stream ends, or until there are `most` segments; then the connection is dropped."""
    events: list[dict[str, Any]] = []
    event: dict[str, Any] = {}
    with http.stream("GET", f"/jobs/{job}/events", headers={"Last-Event-ID": last} if last else {}) as stream:
        assert stream.headers["content-type"].startswith("text/event-stream")
        for line in stream.iter_lines():
            name, _, value = line.partition(": ")
            if name in ("event", "id"):
                event[name] = value
            elif name == "data":
                event["data"] = json.loads(value)
            elif not line and event:
                events.append(event)
                event = {}
                if sum(item["event"] == "segment" for item in events) == most:
                    break
    return events


def segments_of(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The data of the events that carry a segment, in order."""
    return [event["data"] for event in events if event["event"] == "segment"]
