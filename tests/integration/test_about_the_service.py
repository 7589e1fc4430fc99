"""Health, models, languages and the API documents."""

from __future__ import annotations

import httpx
import psutil
import pytest

from benchmarks.load import API, RUNNER, service_processes
from tests.support.clips import SpokenClip, Transcribe
from tests.support.service import LocalService
from transcription.api.routes.health import CHECKS
from transcription.bentoml_patches.light_worker import OURS


def test_health_says_what_runs_where(client: httpx.Client) -> None:
    body = client.get("/health").json()
    assert list(body) == ["status", "version", "model", "device", "timestamp", "uptime_seconds", "backlog_seconds"]
    assert (body["status"], body["version"], body["model"]) == ("healthy", "1.0.0", "demo")
    assert body["device"] in ("cpu", "cuda")


def test_the_process_is_alive(client: httpx.Client) -> None:
    assert client.get("/health/live").json() == {"status": "alive"}


def test_the_service_is_ready(client: httpx.Client) -> None:
    expected = {"status": "ready", "checks": dict.fromkeys(CHECKS, True)}
    assert client.get("/health/ready").json() == expected
    assert client.get("/readyz").status_code == 200


@pytest.mark.parametrize("name", [API, RUNNER])
def test_each_process_was_started_without_what_it_never_uses(service: LocalService, name: str) -> None:
    [process] = service_processes(service.process.pid, name)
    assert OURS in psutil.Process(process).cmdline()


def test_models_show_their_real_state(client: httpx.Client, transcribe: Transcribe, spoken_clip: SpokenClip) -> None:
    transcribe(spoken_clip.path)
    body = client.get("/models").json()
    models = {model["name"]: model for model in body["models"]}
    assert body["current_model"] == "demo"
    assert set(models["demo"]) == {"name", "size", "speed", "accuracy", "loaded", "on_disk", "default"}
    assert [models["demo"][key] for key in ("loaded", "on_disk", "default")] == [True, True, True]
    assert set(models) == {"demo"}  # the others would have to be downloaded


@pytest.mark.parametrize(
    "door", ["/transcribe", "/transcribe?async=true", "/transcribe?model=base", "/v1/audio/transcriptions"]
)
def test_a_model_that_would_be_downloaded_is_refused_with_the_setting_that_allows_it(
    client: httpx.Client, spoken_clip: SpokenClip, door: str
) -> None:
    fields = {} if "model" in door else {"model": "base"}
    answer = client.post(door, files={"file": ("a.mp3", spoken_clip.path.read_bytes())}, data=fields)
    error = answer.json()["error"] if "/v1" in door else answer.json()
    assert answer.status_code == (404 if "/v1" in door else 422)
    assert "ALLOWED_MODELS" in error["message"]
    assert error.get("code") == "model_not_found" or error["error"] == "model_not_allowed"


def test_every_language_of_whisper_is_listed(client: httpx.Client) -> None:
    languages = client.get("/languages").json()["languages"]
    assert {"code": "en", "name": "English"} in languages
    assert len(languages) == 100


@pytest.mark.parametrize("page", ["/ui", "/docs", "/bentoml"])
def test_the_pages_are_served(client: httpx.Client, page: str) -> None:
    answer = client.get(page)
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/html")


@pytest.mark.parametrize(("path", "page"), [("/", "/ui"), ("/redoc", "/docs")])
def test_paths_without_a_page_lead_to_one(client: httpx.Client, path: str, page: str) -> None:
    answer = client.get(path)
    assert (answer.status_code, answer.headers["location"]) == (307, page)


def test_swagger_needs_no_content_network(client: httpx.Client) -> None:
    page = client.get("/docs").text
    assert "https://" not in page
    assert client.get("/static_content/swagger-ui-bundle.js").status_code == 200


def test_the_document_shows_every_parameter_in_both_places(client: httpx.Client) -> None:
    document = client.get("/openapi.json").json()
    operation = document["paths"]["/transcribe"]["post"]
    form = document["components"]["schemas"]["TranscribeForm"]["properties"]
    query = {parameter["name"] for parameter in operation["parameters"] if parameter["in"] == "query"}
    files = {"file", "known_speaker_names[]", "known_speaker_references[]"}  # too long for a URL
    assert set(form) - files == query
    assert {"language", "model", "response_format", "async", "vad_threshold"} <= query


def test_the_document_shows_every_error_with_an_example(client: httpx.Client) -> None:
    responses = client.get("/openapi.json").json()["paths"]["/transcribe"]["post"]["responses"]
    assert {"400", "413", "422", "500", "501", "503"} <= set(responses)
    assert "no_audio_stream" in responses["422"]["content"]["application/json"]["examples"]


@pytest.mark.parametrize("path", ["/health", "/nowhere", "/metrics", "/schema.json", "/docs", "/livez"])
def test_a_request_id_is_echoed_everywhere(client: httpx.Client, path: str) -> None:
    assert client.get(path, headers={"X-Request-ID": "trace-me"}).headers["x-request-id"] == "trace-me"


@pytest.mark.parametrize("bad", ["a b", "x" * 129, "<script>"])
def test_an_unsafe_request_id_is_replaced(client: httpx.Client, bad: str) -> None:
    answer = client.get("/health", headers={"X-Request-ID": bad})
    assert len(answer.headers["x-request-id"]) == 36


def test_the_access_line_has_the_request_id_and_no_names_or_words(
    service: LocalService, client: httpx.Client, spoken_clip: SpokenClip
) -> None:
    file = {"file": ("secret-name.mp3", spoken_clip.path.read_bytes())}
    headers = {"X-Request-ID": "find-me-in-the-log"}
    heard = client.post("/transcribe", files=file, headers=headers).json()
    line = service.logged("find-me-in-the-log", '"message": "request"')
    for expected in ('"endpoint": "/transcribe"', '"method": "POST"', '"status_code": 200', '"duration_ms": '):
        assert expected in line
    log = service.log.read_text()
    assert "secret-name" not in log
    assert heard["text"] not in log
