from __future__ import annotations

import asyncio

import bentoml
import httpx
import pytest

from tests.support.answers import assert_error
from tests.support.clips import ACCEPTABLE_LOSS, SpokenClip, words_missing
from tests.support.service import LocalService


def test_the_synchronous_client_transcribes(service: LocalService, spoken_clip: SpokenClip) -> None:
    with bentoml.SyncHTTPClient(service.url) as client:
        heard = client.transcribe(file=spoken_clip.path, language="en")
    assert words_missing(spoken_clip.text, heard["text"]) <= ACCEPTABLE_LOSS


def test_the_asynchronous_client_transcribes(service: LocalService, spoken_clip: SpokenClip) -> None:
    async def call() -> str:
        async with bentoml.AsyncHTTPClient(service.url) as client:
            return str((await client.transcribe(file=spoken_clip.path))["text"])

    assert words_missing(spoken_clip.text, asyncio.run(call())) <= ACCEPTABLE_LOSS


def test_every_parameter_goes_through_the_client(service: LocalService, spoken_clip: SpokenClip) -> None:
    with bentoml.SyncHTTPClient(service.url) as client:
        heard = client.transcribe(
            file=spoken_clip.path,
            language=None,
            model="demo",
            timestamp_granularity="word",
            temperature=0.2,
            task="transcribe",
            beam_size=2,
            initial_prompt="names: Anna, David",
            hotwords=None,
            vad_filter=True,
            vad_threshold=0.4,
            vad_min_silence_ms=1000,
            vad_speech_pad_ms=300,
        )
    assert heard["words"]


def test_errors_reach_the_client_with_their_message(service: LocalService, spoken_clip: SpokenClip) -> None:
    with (
        bentoml.SyncHTTPClient(service.url) as client,
        pytest.raises(bentoml.exceptions.BentoMLException, match="GET /languages"),
    ):
        client.transcribe(file=spoken_clip.path, language="klingon")


def test_a_file_given_as_a_url_is_never_fetched(service: LocalService) -> None:
    with (
        bentoml.SyncHTTPClient(service.url) as client,
        pytest.raises(bentoml.exceptions.BentoMLException, match="multipart/form-data"),
    ):
        client.transcribe(file=f"{service.url}/health")


def test_bentomls_page_shows_the_native_api(client: httpx.Client) -> None:
    assert "swagger" in client.get("/bentoml").text.lower()
    operation = client.get("/docs.json").json()["paths"]["/api/transcribe"]["post"]
    assert "multipart/form-data" in operation["requestBody"]["content"]


def test_the_schema_has_every_parameter(client: httpx.Client) -> None:
    routes = {route["name"]: set(route["input"]["properties"]) for route in client.get("/schema.json").json()["routes"]}
    assert {"file", "language", "model", "vad_filter"} <= routes["transcribe"]
    assert routes["transcribe_job"] - routes["transcribe"] == {"callback_url"}


def test_a_native_error_has_the_one_shape(client: httpx.Client) -> None:
    answer = client.post("/api/transcribe", files={"file": ("a.mp3", b"nothing")})
    assert_error(answer, 400, "unsupported_format")
