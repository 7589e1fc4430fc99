from __future__ import annotations

from typing import Any

import pytest

from transcription.api.app import create_app
from transcription.api.parameters.parsing import FILE, NAMES, URL
from transcription.core.settings import Settings


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return create_app(Settings()).openapi()


def test_the_form_shows_the_file_and_every_parameter(document: dict[str, Any]) -> None:
    content = document["paths"]["/transcribe"]["post"]["requestBody"]["content"]["multipart/form-data"]
    assert set(content["schema"]["properties"]) == {FILE, URL, *NAMES}
    assert content["schema"]["anyOf"] == [{"required": [FILE]}, {"required": [URL]}]


def test_every_parameter_has_a_description_and_a_type(document: dict[str, Any]) -> None:
    for parameter in document["paths"]["/transcribe"]["post"]["parameters"]:
        assert parameter["description"]
        assert parameter["schema"]["type"] in {"string", "number", "integer", "boolean"}


def test_every_error_has_an_example_in_the_common_shape(document: dict[str, Any]) -> None:
    responses = document["paths"]["/transcribe"]["post"]["responses"]
    for status in ("400", "413", "422", "500", "501", "503"):
        for example in responses[status]["content"]["application/json"]["examples"].values():
            assert set(example["value"]) == {"error", "message", "detail", "timestamp", "request_id"}


def test_every_route_of_the_contract_is_documented(document: dict[str, Any]) -> None:
    assert set(document["paths"]) == {
        "/transcribe",
        "/status/{job_id}",
        "/jobs",
        "/jobs/{job_id}",
        "/jobs/{job_id}/result",
        "/jobs/{job_id}/events",
        "/jobs/{job_id}/retry",
        "/health",
        "/health/live",
        "/health/ready",
        "/models",
        "/languages",
        "/v1/audio/transcriptions",
        "/v1/audio/translations",
        "/openai/deployments/{deployment}/audio/transcriptions",
        "/openai/deployments/{deployment}/audio/translations",
        "/asr",
        "/detect-language",
        "/v1/models",
        "/v1/models/{model}",
    }


def test_every_route_has_a_description(document: dict[str, Any]) -> None:
    for operations in document["paths"].values():
        for operation in operations.values():
            assert operation["description"]
