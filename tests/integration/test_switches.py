"""What an operator may turn off."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from tests.support.answers import assert_error
from tests.support.api_keys import KEY
from tests.support.clips import SpokenClip
from tests.support.service import connected, serve
from transcription.api.app import route_table


@pytest.fixture(scope="module")
def reduced(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """A client of a service without jobs, URL input, open probes and our own queue behind BentoML's tasks."""
    switches = {"ENABLE_ASYNC": "false", "ENABLE_URL_INPUT": "false", "TASK_QUEUE": "platform"}
    keys = {"ENABLE_API_KEY": "true", "API_KEY": KEY, "PROTECT_PROBES": "true"}
    folder = tmp_path_factory.mktemp("reduced")
    with serve(folder, wait_until_ready=False, **switches, **keys) as service, connected(service) as http:
        http.headers["X-API-Key"] = KEY
        yield http


def test_jobs_can_be_turned_off(reduced: httpx.Client, spoken_clip: SpokenClip) -> None:
    file = {"file": (spoken_clip.path.name, spoken_clip.path.read_bytes())}
    answer = reduced.post("/transcribe", files=file, data={"async": "true"})
    assert "async" in assert_error(answer, 501, "not_enabled")["message"]


def test_the_queue_of_the_platform_can_be_left_alone(reduced: httpx.Client) -> None:
    answer = reduced.get("/api/transcribe_job/status", params={"task_id": "unknown"})
    assert_error(answer, 404, "not_found")  # BentoML's own answer, not "unknown_job"


def test_fetching_can_be_turned_off(reduced: httpx.Client) -> None:
    answer = reduced.get("/transcribe", params={"url": "http://localhost/talk.mp3"})
    assert_error(answer, 501, "not_enabled")


def test_the_probes_can_be_closed(reduced: httpx.Client) -> None:
    for path in route_table().probe_paths:
        assert_error(httpx.get(reduced.base_url.join(path)), 401, "missing_api_key")
    assert reduced.get("/health/live").status_code == 200
