"""The facts that routes declare, and the lookup of the facts of a request."""

from __future__ import annotations

from typing import Any

import pytest

from transcription.api.app import route_table
from transcription.api.content_security import DEFAULT_POLICY
from transcription.api.route_facts import Route, RouteFacts, RouteTable

TABLE = route_table()
UPLOAD_PATHS = (
    *("/transcribe", "/api/transcribe", "/asr", "/detect-language", "/v1/audio/transcriptions"),
    *("/v1/audio/translations", "/v1/audio/diarization", "/jobs/7/retry"),
    *("/openai/deployments/x/audio/transcriptions", "/openai/deployments/x/audio/translations"),
    *("/openai/v1/audio/transcriptions", "/openai/v1/audio/translations", "/openai/v1/audio/diarization"),
    *("/api/transcribe_job", "/api/transcribe_job/submit", "/api/transcribe_job/retry"),
)
PROBES = {"/health", "/health/live", "/health/ready", "/healthz", "/livez", "/readyz", "/metrics"}


def request(method: str, path: str) -> dict[str, Any]:
    return {"type": "http", "method": method, "path": path, "headers": []}


@pytest.mark.parametrize("path", UPLOAD_PATHS)
def test_a_request_that_brings_work_is_an_upload(path: str) -> None:
    assert TABLE.facts(request("POST", path)).upload


@pytest.mark.parametrize("path", UPLOAD_PATHS)
def test_a_line_break_after_the_path_changes_nothing(path: str) -> None:
    """Starlette routes such a path to the same endpoint."""
    assert TABLE.facts(request("POST", f"{path}\n")) == TABLE.facts(request("POST", path))


def test_a_recording_by_url_is_an_upload() -> None:
    assert TABLE.facts(request("GET", "/transcribe")).upload


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/jobs"),
        ("POST", "/elsewhere"),
        ("GET", "/asr"),
        ("DELETE", "/jobs/7"),
        ("GET", "/api/transcribe_job/status"),
        ("PUT", "/api/transcribe_job/cancel"),
    ],
)
def test_any_other_request_is_not_an_upload(method: str, path: str) -> None:
    assert not TABLE.facts(request(method, path)).upload


def test_probes_are_probes_for_every_method() -> None:
    assert TABLE.probe_paths == PROBES
    assert all(TABLE.facts(request(method, path)).probe for path in PROBES for method in ("GET", "HEAD", "POST"))


def test_only_the_files_of_the_page_and_the_way_to_it_are_public() -> None:
    assert {"/", "/ui"} <= TABLE.public_paths
    assert all(path in ("/", "/ui") or path.startswith("/ui/") for path in TABLE.public_paths)


def test_protected_probes_are_not_open() -> None:
    assert TABLE.open_paths(protect_probes=False) == TABLE.public_paths | PROBES
    assert TABLE.open_paths(protect_probes=True) == TABLE.public_paths


@pytest.mark.parametrize("path", ["//health", "/health/", "/Health", "/ui/", "/ui/nothing.js"])
def test_a_path_that_resembles_an_open_one_is_unknown(path: str) -> None:
    assert TABLE.facts(request("GET", path)) == RouteFacts()


def test_a_route_with_a_parameter_cannot_be_open_without_a_key() -> None:
    with pytest.raises(ValueError, match="has a parameter"):
        RouteTable([Route("GET", "/files/{name}", RouteFacts(public=True))])


def test_pages_with_their_own_scripts_have_their_own_policies() -> None:
    policies = {path: TABLE.facts(request("GET", path)).content_security_policy for path in ("/docs", "/ui")}
    assert len({*policies.values(), DEFAULT_POLICY}) == 3
    assert TABLE.facts(request("GET", "/")).content_security_policy == DEFAULT_POLICY


def test_the_files_of_the_page_share_one_metric_label() -> None:
    labels = [label for label in TABLE.metric_labels if label.startswith("/ui")]
    assert labels == ["/ui", "/ui/{name}"]


def test_a_websocket_brings_work_and_has_no_method() -> None:
    assert TABLE.facts({"type": "websocket", "path": "/live", "headers": []}).upload
    assert TABLE.methods(request("GET", "/live")) == frozenset()
