"""A service whose model is missing and whose model hub cannot be reached."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.support.answers import assert_error
from tests.support.clips import SpokenClip
from tests.support.prometheus import prometheus
from tests.support.service import local_service
from transcription.api.routes.health import CHECKS


@pytest.fixture(scope="module")
def waiting_client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    folder = tmp_path_factory.mktemp("not-ready")
    environment = {
        "WHISPER_MODEL": "base",
        "HF_ENDPOINT": "http://127.0.0.1:9",  # nothing listens there
        "REQUEST_TIMEOUT": "60",
    }
    with (
        local_service(environment, folder / "log", wait_until_ready=False) as service,
        httpx.Client(base_url=service.url, timeout=60) as client,
    ):
        yield client


def test_it_is_alive_but_not_ready_and_says_why(waiting_client: httpx.Client) -> None:
    assert waiting_client.get("/health/live").status_code == 200
    answer = waiting_client.get("/health/ready")
    body = answer.json()
    assert (answer.status_code, body["status"], body["error"]) == (503, "not_ready", "service_unavailable")
    assert body["checks"] == {**dict.fromkeys(CHECKS, True), "model_loaded": False}
    assert "base" in body["reasons"]["model_loaded"]
    assert answer.headers["retry-after"]
    assert waiting_client.get("/readyz").status_code == 503


def test_its_transcriptions_are_refused_with_the_two_ways_out(
    waiting_client: httpx.Client, spoken_clip: SpokenClip
) -> None:
    answer = waiting_client.post("/transcribe", files={"file": ("a.mp3", spoken_clip.path.read_bytes())})
    body = assert_error(answer, 503, "model_unavailable")
    assert answer.headers["retry-after"]
    assert "download_models" in body["message"]
    assert "WHISPER_MODEL=demo" in body["message"]


def test_other_models_still_work(waiting_client: httpx.Client, spoken_clip: SpokenClip) -> None:
    file = {"file": ("a.mp3", spoken_clip.path.read_bytes())}
    assert waiting_client.post("/transcribe", files=file, data={"model": "demo"}).status_code == 200


def test_prometheus_raises_the_alert_for_its_answers_but_not_for_its_probes(
    waiting_client: httpx.Client, spoken_clip: SpokenClip, tmp_path: Path
) -> None:
    counted = 'rate(bentoml_service_request_total{{endpoint="{}", http_response_code="503"}}[1m])'.format
    file = {"file": ("a.mp3", spoken_clip.path.read_bytes())}
    waiting_client.get("/health/ready")
    waiting_client.post("/transcribe", files=file)
    with prometheus(str(waiting_client.base_url), tmp_path) as watching:
        waiting_client.get("/health/ready")
        watching.expect(set(), after=counted("/health/ready"))
        waiting_client.post("/transcribe", files=file)
        watching.expect({"TranscriptionErrors", "TranscriptionServerErrors"}, after=counted("/transcribe"))
