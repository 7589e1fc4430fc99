"""Parts of the OpenAPI document that FastAPI cannot derive from a route's signature.

FastAPI would read and validate a whole upload before it calls the route, so the routes that take a recording read the
request themselves and describe their parameters and bodies with these functions.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pydantic import BaseModel

from transcription.api.errors import KINDS, ErrorBody, ErrorKind
from transcription.core.errors import TranscriptionError

Document = dict[str, Any]
Responses = dict[int | str, Document]

STATUS_TEXT = {
    400: "The file is in an unsupported format, or its content does not match its name or declared type",
    401: "An API key is required",
    403: "The API key is invalid, or the host or the origin of the request is not allowed",
    404: "The job does not exist or has expired",
    408: "The upload stalled or was too slow",
    409: "The job's state does not allow the operation, or the Idempotency-Key was used for another submission",
    412: "The transcript was changed since the client read it",
    413: "The file has too many bytes, or the recording too many seconds",
    422: "A parameter is invalid, or the file has no usable audio",
    429: "Too many requests or uploads; Retry-After says when to try again",
    431: "Too many headers",
    500: "Internal error",
    501: "The feature is turned off in this deployment",
    503: "Not ready, overloaded or shutting down; Retry-After says when to try again",
}
SECURITY_SCHEMES: Document = {
    "ApiKey": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
    "Bearer": {"type": "http", "scheme": "bearer", "description": "The same key as Authorization: Bearer KEY."},
}


def field_schemas(model: type[BaseModel]) -> Document:
    """The JSON schema of each field by name, without references and null alternatives, which form pages cannot show.

    Enumerations have a title, under which `fit_for_clients` makes them components.
    """
    schema = model.model_json_schema(by_alias=True)
    definitions = schema.get("$defs", {})
    return {name: _flat(field, definitions) for name, field in schema["properties"].items()}


def _flat(field: Document, definitions: Document) -> Document:
    alternatives = [item for item in field.get("anyOf", []) if item.get("type") != "null"]
    merged = {**field, **(alternatives[0] if alternatives else {})}
    merged.pop("title", None)
    if reference := merged.pop("$ref", ""):
        merged = {**definitions[reference.rsplit("/", 1)[-1]], **merged}
    dropped = {"anyOf"} | ({"default"} if merged.get("default", ...) is None else set())
    return {key: value for key, value in merged.items() if key not in dropped}


def enumeration(title: str, values: Iterable[str]) -> Document:
    """A string with one of these values. title: its name among the components."""
    return {"type": "string", "enum": [str(value) for value in values], "title": title}


def query_parameter(name: str, schema: Document, *, required: bool = False) -> Document:
    """A query parameter. schema: of its value; its description becomes that of the parameter."""
    return {
        "name": name,
        "in": "query",
        "required": required,
        "description": schema.get("description", ""),
        "schema": {key: value for key, value in schema.items() if key != "description"},
    }


def multipart_body(title: str, properties: Document, **constraints: Any) -> Document:
    """A multipart form. title: its name among the components. constraints: keywords of its JSON schema."""
    schema = {"type": "object", "title": title, **constraints, "properties": properties}
    return {"required": True, "content": {"multipart/form-data": {"schema": schema}}}


def json_body(model: type[BaseModel]) -> Document:
    """A JSON document. Objects in it have a title, under which `fit_for_clients` makes them components."""
    schema = model.model_json_schema()
    return {"required": True, "content": {"application/json": {"schema": _inlined(schema, schema.get("$defs", {}))}}}


def _inlined(schema: Document, definitions: Document) -> Document:
    if reference := schema.get("$ref", ""):
        return _inlined({**definitions[reference.rsplit("/", 1)[-1]]}, definitions)
    inlined = {name: value for name, value in schema.items() if name != "$defs"}
    if "properties" in schema:
        fields = {name: _inlined(field, definitions) for name, field in schema["properties"].items()}
        inlined["properties"] = fields
    else:
        inlined.pop("title", None)
    if "items" in schema:
        inlined["items"] = _inlined(schema["items"], definitions)
    return inlined


def file_schema(description: str = "") -> Document:
    """A file in a multipart form."""
    # Both keywords: OpenAPI 3.1 has the second, and generators made for 3.0 know the first.
    schema = {"type": "string", "format": "binary", "contentMediaType": "application/octet-stream"}
    return {**schema, "description": description} if description else schema


def error_responses(*errors: type[TranscriptionError]) -> Responses:
    """The responses for these errors: one entry per status, with one example per error."""
    responses: Responses = {}
    for kind in sorted((KINDS[error] for error in errors), key=lambda kind: kind.status):
        entry = responses.setdefault(
            kind.status,
            {
                "model": ErrorBody,
                "description": STATUS_TEXT[kind.status],
                "content": {"application/json": {"examples": {}}},
            },
        )
        entry["content"]["application/json"]["examples"][kind.code] = _error_example(kind)
    return responses


def _error_example(kind: ErrorKind) -> Document:
    body = ErrorBody(
        error=kind.code,
        message=kind.example,
        detail="",
        timestamp="2026-11-23T10:30:00Z",
        request_id="2f1c7f3e-9f0e-4c39-a3dc-6d7a1d2d9c11",
    )
    return {"summary": kind.code, "value": body.model_dump()}


def add_security(document: Document, open_paths: Iterable[str], *, required: bool) -> Document:
    """Add the two ways to send an API key to an OpenAPI document. Either one is sufficient.

    required: whether requests need a key. open_paths: the paths that never need one.
    """
    document.setdefault("components", {})["securitySchemes"] = SECURITY_SCHEMES
    if not required:
        return document
    document["security"] = [{name: []} for name in SECURITY_SCHEMES]
    for path in open_paths:
        for operation in document["paths"].get(path, {}).values():
            operation["security"] = []
    return document
