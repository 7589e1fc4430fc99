"""What an operator may turn off."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from tests.support.answers import assert_error
from tests.support.clips import SpokenClip
from tests.support.service import connected, serve


@pytest.fixture(scope="module")
def reduced(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """A client of a service without jobs, without URL input and without our own queue behind BentoML's tasks."""
    switches = {"ENABLE_ASYNC": "false", "ENABLE_URL_INPUT": "false", "TASK_QUEUE": "platform"}
    folder = tmp_path_factory.mktemp("reduced")
    with serve(folder, wait_until_ready=False, **switches) as service, connected(service) as http:
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
