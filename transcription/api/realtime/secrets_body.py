"""The body of POST /v1/realtime/client_secrets, and its answer."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError
from starlette.requests import Request

from transcription.api.client_secrets import DEFAULT_SECONDS, LEAST_SECONDS, MOST_SECONDS
from transcription.api.documentation import Document
from transcription.api.realtime.client_events import Session, explained
from transcription.api.small_body import read_small_body
from transcription.core.errors import InvalidParameter

MAX_BODY_BYTES = 64 * 1024


class ExpiresAfter(BaseModel):
    """How long the secret is valid for new connections. seconds: from its creation."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    anchor: Literal["created_at"] = "created_at"
    seconds: int = Field(DEFAULT_SECONDS, ge=LEAST_SECONDS, le=MOST_SECONDS)


class SecretRequest(BaseModel):
    """What is asked for."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    expires_after: ExpiresAfter = ExpiresAfter()
    session: Session = Session(type="transcription")


class ClientSecret(BaseModel):
    """A client secret, and the session that it is for."""

    value: str = Field(description="The secret.", examples=["ek_eyJleHBpcmVzIjoxNzY0..."])
    expires_at: int = Field(description="Seconds since 1970.", examples=[1764250000])
    session: dict[str, Any] = Field(description="As in the event session.created.")


_REQUEST: TypeAdapter[SecretRequest] = TypeAdapter(SecretRequest)


async def read_request(request: Request) -> SecretRequest:
    """The body. One that is empty asks for a session with the defaults. Raises InvalidParameter, ClientDisconnect."""
    body = await read_small_body(request, MAX_BODY_BYTES)
    if not body:
        return SecretRequest()
    try:
        return _REQUEST.validate_json(body)
    except ValidationError as error:
        found = explained(error)
        raise InvalidParameter(found.message, parameter=found.param or "") from None


def _inlined(schema: Any, definitions: Document) -> Any:
    """A JSON schema without references and titles, which would become names of classes in generated clients."""
    if isinstance(schema, list):
        return [_inlined(item, definitions) for item in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        return _inlined(definitions[schema["$ref"].rsplit("/", 1)[-1]], definitions)
    dropped = {"$defs", "discriminator", "default"} | ({"title"} if isinstance(schema.get("title"), str) else set())
    return {key: _inlined(value, definitions) for key, value in schema.items() if key not in dropped}


_SCHEMA = SecretRequest.model_json_schema()
BODY: Document = {
    "required": False,
    "content": {
        "application/json": {
            "schema": {**_inlined(_SCHEMA, _SCHEMA["$defs"]), "title": "ClientSecretRequest"},
            "example": {"session": {"type": "transcription"}},
        }
    },
}
