"""Requests as unmodified clients of OpenAI's API send them, byte by byte where that matters.

The spellings are those of OpenAI's libraries for Java, .NET and JavaScript, of Groq's and Azure's, and of programs that
build the form themselves.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import httpx
import openai
import pytest

from tests.support.clips import SpokenClip
from tests.support.service import LocalService

ROUTE = "/v1/audio/transcriptions"
AZURE = "/openai/deployments/our-speech/audio/transcriptions?api-version=2025-04-01-preview"
PLAIN_TEXT = "text/plain; charset=utf-8"

Fields = Iterable[tuple[str, str]]


def post(client: httpx.Client, clip: SpokenClip, *fields: tuple[str, str], route: str = ROUTE) -> httpx.Response:
    """The clip with these fields, as parts without a Content-Type."""
    names = {name for name, _ in fields}
    given = [*fields, *[pair for pair in (("model", "whisper-1"), ("temperature", "0")) if pair[0] not in names]]
    parts: list[Any] = [(name, (None, value)) for name, value in given]
    return client.post(route, files=[*parts, ("file", (clip.path.name, clip.path.read_bytes()))])


def verbose(client: httpx.Client, clip: SpokenClip, *fields: tuple[str, str]) -> dict[str, Any]:
    answer = post(client, clip, ("response_format", "verbose_json"), *fields)
    assert answer.status_code == 200, answer.text
    document: dict[str, Any] = answer.json()
    return document


def assert_error(answer: httpx.Response, status: int, code: str, param: str | None) -> str:
    """Check an error in OpenAI's shape; returns its message."""
    assert answer.status_code == status, answer.text
    error = answer.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert (error["code"], error["param"]) == (code, param)
    message: str = error["message"]
    return message


@pytest.mark.parametrize("kind", ["text", "srt", "vtt"])
def test_what_is_not_json_is_plain_text(client: httpx.Client, spoken_clip: SpokenClip, kind: str) -> None:
    assert post(client, spoken_clip, ("response_format", kind)).headers["content-type"] == PLAIN_TEXT


@pytest.mark.parametrize(("kind", "media_type"), [("srt", "application/x-subrip"), ("vtt", "text/vtt")])
def test_other_paths_keep_the_types_of_subtitles(
    client: httpx.Client, spoken_clip: SpokenClip, kind: str, media_type: str
) -> None:
    file = {"file": (spoken_clip.path.name, spoken_clip.path.read_bytes())}
    answer = client.post("/transcribe", files=file, data={"response_format": kind})
    assert answer.headers["content-type"] == f"{media_type}; charset=utf-8"


@pytest.mark.parametrize(
    "granularities",
    [
        [("timestamp_granularities", "word,segment")],
        [("timestamp_granularities[]", "segment,word")],
        [("timestamp_granularities[0]", "word"), ("timestamp_granularities[1]", "segment")],
        [("timestamp_granularities", "word"), ("timestamp_granularities", "segment")],
        [("timestamp_granularities", '["word","segment"]')],
    ],
)
def test_granularities_are_taken_in_every_spelling(
    client: httpx.Client, spoken_clip: SpokenClip, granularities: Fields
) -> None:
    document = verbose(client, spoken_clip, *granularities)
    assert document["words"]
    assert document["segments"]


def test_a_chunking_strategy_may_be_one_json_part(client: httpx.Client, spoken_clip: SpokenClip) -> None:
    strategy = json.dumps(
        {"type": "server_vad", "threshold": 0.4, "prefix_padding_ms": 300, "silence_duration_ms": 200}
    )
    plain = post(client, spoken_clip, ("chunking_strategy", strategy))
    assert plain.json()["text"]
    # As a browser's FormData sends a Blob: with a filename and a type.
    file = (spoken_clip.path.name, spoken_clip.path.read_bytes())
    blob = client.post(
        ROUTE,
        files={"file": file, "chunking_strategy": ("blob", strategy, "application/json")},
        data={"model": "whisper-1", "temperature": "0"},
    )
    assert blob.json() == plain.json()


@pytest.mark.parametrize("strategy", ['{"type": "client_vad"}', '{"type": "server_vad", "threshold": 2}', "[" * 50_000])
def test_a_chunking_strategy_that_makes_no_sense_is_refused(
    client: httpx.Client, spoken_clip: SpokenClip, strategy: str
) -> None:
    answer = post(client, spoken_clip, ("chunking_strategy", strategy))
    assert answer.status_code == 400
    assert answer.json()["error"]["param"].startswith("chunking_strategy")


@pytest.mark.parametrize(
    "model",
    [
        *(
            "gpt-transcribe",
            "gpt-4o-mini-transcribe-2025-12-15",
            "gpt-4o-transcribe-diarize",
            "whisper",
            "openai/whisper-1",
        ),
        *(
            "openai/whisper-large-v3",
            "Systran/faster-whisper-large-v3",
            "whisper-large-v3-turbo",
            "distil-whisper-large-v3-en",
        ),
    ],
)
def test_names_of_other_vendors_are_models_of_this_service(
    client: httpx.Client, spoken_clip: SpokenClip, model: str
) -> None:
    assert post(client, spoken_clip, ("model", model)).json()["text"]
    assert client.get(f"/v1/models/{model}").json()["id"] == model


def test_an_unknown_model_is_refused_with_the_route_that_lists_them(
    client: httpx.Client, spoken_clip: SpokenClip
) -> None:
    for answer in (post(client, spoken_clip, ("model", "gpt-17")), client.get("/v1/models/gpt-17")):
        assert "GET /v1/models" in assert_error(answer, 404, "model_not_found", "model")
    file = {"file": (spoken_clip.path.name, spoken_clip.path.read_bytes())}
    assert "GET /v1/models" in assert_error(client.post(ROUTE, files=file), 400, "invalid_parameter", "model")


@pytest.mark.parametrize("language", ["auto", "en-US", "en_GB", "EN", "eng", "en-Latn-US"])
@pytest.mark.parametrize("route", [ROUTE, "/v1/audio/translations", "/transcribe", "/api/transcribe", "/asr"])
def test_every_door_takes_auto_and_tags_as_languages(
    client: httpx.Client, spoken_clip: SpokenClip, route: str, language: str
) -> None:
    data = {"model": "whisper-1"} if route.startswith("/v1") else {}
    query = {"language": language, "output": "json"} if route == "/asr" else {}
    name = "audio_file" if route == "/asr" else "file"
    answer = client.post(
        route,
        params=query,
        data=data if query else {**data, "language": language},
        files={name: (spoken_clip.path.name, spoken_clip.path.read_bytes())},
    )
    assert answer.status_code == 200, answer.text
    assert answer.json()["text"]


def test_a_candidate_may_be_a_tag_and_auto_is_none(client: httpx.Client, spoken_clip: SpokenClip) -> None:
    assert verbose(client, spoken_clip, ("languages", "de-AT,fr-CA"))["language"] in ("german", "french")
    assert verbose(client, spoken_clip, ("languages[]", "auto"), ("language", "auto"))["language"] == "english"


def test_json_lists_the_languages(client: httpx.Client, spoken_clips: dict[str, SpokenClip]) -> None:
    for language in ("en", "de"):
        assert post(client, spoken_clips[language]).json()["languages"] == [{"code": language}]


def test_a_part_without_a_filename_is_refused_with_what_is_missing(
    client: httpx.Client, spoken_clip: SpokenClip
) -> None:
    for route in (ROUTE, AZURE):
        answer = client.post(route, files={"file": (None, spoken_clip.path.read_bytes()), "model": (None, "whisper-1")})
        assert "has no filename" in assert_error(answer, 400, "invalid_parameter", "file")
    ours = client.post("/transcribe", files={"file": (None, spoken_clip.path.read_bytes())})
    assert (ours.status_code, ours.json()["error"]) == (422, "invalid_parameter")
    assert "has no filename" in ours.json()["message"]
    assert set(ours.json()) == {"error", "message", "detail", "timestamp", "request_id"}


# Azure's paths, and others that clients build themselves


def test_azures_client_transcribes_and_translates(service: LocalService, spoken_clip: SpokenClip) -> None:
    with openai.AzureOpenAI(
        azure_endpoint=service.url, api_key="unused", api_version="2024-10-21", max_retries=0
    ) as azure:
        for audio in (azure.audio.transcriptions, azure.audio.translations):
            assert audio.create(model="our-speech", file=spoken_clip.path, temperature=0).text


def test_a_deployment_needs_no_model(client: httpx.Client, spoken_clip: SpokenClip) -> None:
    file = {"file": (spoken_clip.path.name, spoken_clip.path.read_bytes())}
    for fields in ({}, {"model": "gpt-17"}):
        answer = client.post(AZURE, files=file, data=fields, headers={"api-key": "unused"})
        assert answer.json()["text"]


def test_a_stream_of_a_deployment_ends_as_openai_ends_it(client: httpx.Client, spoken_clip: SpokenClip) -> None:
    answer = post(client, spoken_clip, ("stream", "true"), route=AZURE)
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert answer.text.strip().endswith("data: [DONE]")


def test_clients_whose_paths_begin_with_openai_v1_are_served(service: LocalService, spoken_clip: SpokenClip) -> None:
    with openai.OpenAI(base_url=f"{service.url}/openai/v1", api_key="unused", max_retries=0) as groq:
        create = groq.audio.transcriptions.create
        assert create(model="whisper-large-v3-turbo", file=spoken_clip.path, temperature=0).text
        assert "whisper-1" in [model.id for model in groq.models.list()]
        assert groq.models.retrieve("whisper-1").id == "whisper-1"


def test_every_route_of_openais_api_is_served_for_vendors_clients(client: httpx.Client) -> None:
    for path, methods in client.get("/openapi.json").json()["paths"].items():
        for method in methods if path.startswith("/v1/") and "{" not in path else ():
            statuses = {client.request(method, f"{prefix}{path}").status_code for prefix in ("", "/openai")}
            assert len(statuses) == 1 and not statuses & {404, 405}, path


@pytest.mark.parametrize("path", ["/openai/deployments/x/nowhere", "/openai/v1/nowhere"])
def test_paths_of_azure_that_are_not_there_answer_in_openais_shape(client: httpx.Client, path: str) -> None:
    assert_error(client.get(path), 404, "not_found", None)
