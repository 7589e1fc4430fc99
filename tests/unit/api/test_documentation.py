"""The API document: what it describes, and that it is fit for generators of clients."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from openapi_spec_validator import validate

from transcription.api import client_schema
from transcription.api.app import create_app
from transcription.api.known_speakers import KNOWN_SCHEMAS
from transcription.api.parameters.parsing import FILE, NAMES, URL
from transcription.core.settings import Settings


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return create_app(Settings()).openapi()


def resolved(document: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    name = schema.get("$ref", "").rpartition("/")[2]
    return document["components"]["schemas"][name] if name else schema


def operations(document: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for path in document["paths"].values():
        yield from path.values()


def schemas_in(node: Any) -> Iterator[dict[str, Any]]:
    """Every JSON object of the document; examples and defaults aside, each may be a schema."""
    if isinstance(node, dict):
        yield node
        for key, value in node.items():
            if key not in ("example", "examples"):
                yield from schemas_in(value)
    elif isinstance(node, list):
        for value in node:
            yield from schemas_in(value)


def test_the_form_shows_the_file_and_every_parameter(document: dict[str, Any]) -> None:
    content = document["paths"]["/transcribe"]["post"]["requestBody"]["content"]["multipart/form-data"]
    assert set(resolved(document, content["schema"])["properties"]) == {FILE, URL, *NAMES, *KNOWN_SCHEMAS}


def test_every_parameter_has_a_description_and_a_type(document: dict[str, Any]) -> None:
    for parameter in document["paths"]["/transcribe"]["post"]["parameters"]:
        assert parameter["description"]
        assert resolved(document, parameter["schema"])["type"] in {"string", "number", "integer", "boolean"}


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
        "/jobs/{job_id}/speakers",
        "/jobs/{job_id}/transcript",
        "/jobs/{job_id}/transcript/versions",
        "/health",
        "/health/live",
        "/health/ready",
        "/models",
        "/languages",
        "/v1/audio/transcriptions",
        "/v1/audio/translations",
        "/v1/audio/diarization",
        "/openai/deployments/{deployment}/audio/transcriptions",
        "/openai/deployments/{deployment}/audio/translations",
        "/asr",
        "/detect-language",
        "/v1/realtime/client_secrets",
        "/v1/models",
        "/v1/models/{model}",
    }


def test_every_route_has_a_description(document: dict[str, Any]) -> None:
    for operations in document["paths"].values():
        for operation in operations.values():
            assert operation["description"]


@pytest.mark.parametrize("enable_api_key", [True, False])
def test_the_document_is_valid_openapi(enable_api_key: bool) -> None:
    app = create_app(Settings(enable_api_key=enable_api_key))
    for _ in range(2):  # it is made again for each request
        document = app.openapi()
        validate(document)
    assert json.dumps(document) == json.dumps(app.openapi())


def test_every_answer_and_every_error_has_a_schema(document: dict[str, Any]) -> None:
    for operation in operations(document):
        assert any(status < "300" for status in operation["responses"])
        for response in operation["responses"].values():
            assert response["content"]
            for media in response["content"].values():
                assert set(media["schema"]) & {"$ref", "anyOf", "type"}, (operation["operationId"], media)


def test_every_json_answer_has_a_named_schema(document: dict[str, Any]) -> None:
    for operation in operations(document):
        for response in operation["responses"].values():
            schema = response["content"].get("application/json", {}).get("schema", {"$ref": ""})
            assert all("$ref" in each for each in schema.get("anyOf", [schema]))


def test_every_example_is_as_its_schema_says(document: dict[str, Any]) -> None:
    count = 0
    for operation in operations(document):
        for response in operation["responses"].values():
            for media in response["content"].values():
                validator = Draft202012Validator({**media["schema"], "components": document["components"]})
                values = [each["value"] for each in media.get("examples", {}).values()]
                for value in [*values, *([media["example"]] if "example" in media else [])]:
                    validator.validate(value)
                    count += 1
    assert count > 50


def test_operations_have_names_that_make_methods(document: dict[str, Any]) -> None:
    names = [operation["operationId"] for operation in operations(document)]
    assert len({name.replace("_", "") for name in names}) == len(names)
    assert all(name.isidentifier() and name.islower() for name in names)
    assert all(len(operation["tags"]) == 1 for operation in operations(document))


def test_schemas_have_one_name_each_that_makes_a_class(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    assert len({name.lower() for name in schemas}) == len(schemas)
    assert all(name.isidentifier() and name[0].isupper() and "_" not in name for name in schemas)
    titles = [(name, schema["title"]) for name, schema in schemas.items() if "title" in schema]
    assert all(name == title for name, title in titles)


def test_nothing_has_a_default_that_a_client_would_send(document: dict[str, Any]) -> None:
    assert [schema for schema in schemas_in(document) if not isinstance(schema.get("default", {}), dict)] == []


def test_enumerations_are_named_and_not_repeated(document: dict[str, Any]) -> None:
    assert [schema for schema in schemas_in(document["paths"]) if isinstance(schema.get("enum"), list)] == []
    inline = [
        (name, field)
        for name, schema in document["components"]["schemas"].items()
        for field, value in schema.get("properties", {}).items()
        if "enum" in value and "const" not in value
    ]
    assert set(inline) <= {("UnfinishedJob", "status"), ("EndedJob", "status")}  # parts of JobStatus


def test_files_are_binary_in_the_words_of_openapi_3_0_and_3_1(document: dict[str, Any]) -> None:
    forms = [schema for name, schema in document["components"]["schemas"].items() if name.endswith("Form")]
    assert len(forms) == 7
    for form in forms:
        file = form["properties"].get("audio_file") or form["properties"]["file"]
        assert (file["format"], file["contentMediaType"]) == ("binary", "application/octet-stream")


def test_two_schemas_of_one_name_are_noticed() -> None:
    colour = {"type": "string", "title": "Colour"}
    document = {
        "paths": {
            "/": {
                "get": {
                    "parameters": [
                        {"name": "ink", "in": "query", "schema": {**colour, "enum": ["blue"]}},
                        {"name": "paper", "in": "query", "schema": {**colour, "enum": ["white"]}},
                    ],
                    "responses": {},
                }
            }
        }
    }
    with pytest.raises(ValueError, match="Colour"):
        client_schema.fit_for_clients(document)
