"""Texts for clients contain no paths of the server."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.unit.jobs.store.support import REQUEST
from transcription.api.errors import error_response
from transcription.api.schemas.jobs import ended
from transcription.api.server_paths import without_paths
from transcription.core.errors import DamagedStore, Failure, ModelUnavailable
from transcription.jobs.job import Job, JobStatus, Recording

HOME = str(Path.home())


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (
            "FileNotFoundError: [Errno 2] No such file or directory: '/tmp/transcription/a b.bin'",
            "FileNotFoundError: [Errno 2] No such file or directory: '[path]'",
        ),
        ("/usr/lib/libcublas.so.12: cannot open", "[path]: cannot open"),
        (
            "Unable to open file /tmp/model.bin, or (/tmp/x) and /tmp",
            "Unable to open file [path], or ([path]) and [path]",
        ),
        (f'File "{HOME}/models/x.py"', 'File "[path]"'),
        ("folder=/tmp/x", "folder=[path]"),
        ("a//tmp stays, and so do 1/2, and/or, //", "a//tmp stays, and so do 1/2, and/or, //"),
        ("https://example.com/tmp/x?y=/1", "https://example.com/tmp/x?y=/1"),
        ("GET /v1/audio lists them", "GET /v1/audio lists them"),
        ("video/mp4; no sound", "video/mp4; no sound"),
    ],
)
def test_absolute_paths_are_replaced(text: str, shown: str) -> None:
    assert without_paths(text) == shown


def test_the_detail_of_an_error_shows_no_path() -> None:
    answer = error_response(
        ModelUnavailable("It cannot be loaded.", f"PermissionError: '{HOME}/models/base/model.bin'")
    )
    assert json.loads(bytes(answer.body))["detail"] == "PermissionError: '[path]'"


def test_the_commands_that_repair_a_damaged_store_are_not_for_clients() -> None:
    answer = error_response(DamagedStore("Run rm -f /var/lib/jobs.sqlite3", "/var/lib/jobs.sqlite3 is malformed"))
    assert b"/var/lib" not in bytes(answer.body)
    assert json.loads(bytes(answer.body))["error"] == "damaged_store"


def test_the_reason_of_a_failed_job_shows_no_path() -> None:
    failure = Failure("internal_error", "The service failed.", f"OSError: '{HOME}/jobs/a.bin'")
    recording = Recording("a.bin", "0" * 64, 1)
    job = Job("a", 1, "work", JobStatus.FAILED, REQUEST, recording, "json", 0.0, failure=failure)
    assert ended(job).detail == "The service failed. OSError: '[path]'"
