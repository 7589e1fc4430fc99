"""The body of POST /jobs/{id}/speakers: new names of speakers."""

from __future__ import annotations

from pydantic import TypeAdapter, ValidationError
from starlette.requests import Request

from transcription.api.documentation import Document
from transcription.api.small_body import read_small_body
from transcription.core.errors import InvalidParameter
from transcription.core.speakers import MAX_SPEAKERS
from transcription.pipeline.speakers import MAX_NAME_CHARACTERS

MAX_BODY_BYTES = 64 * 1024  # more than MAX_SPEAKERS labels and names, written as JSON escapes
EXAMPLE = {"SPEAKER_00": "Ann"}
NAMES_BODY: Document = {
    "required": True,
    "content": {
        "application/json": {
            "schema": {
                "title": "SpeakerNames",
                "type": "object",
                "description": "The new name of each label.",
                "minProperties": 1,
                "maxProperties": MAX_SPEAKERS,
                "additionalProperties": {"type": "string", "minLength": 1, "maxLength": MAX_NAME_CHARACTERS},
            },
            "example": EXAMPLE,
        }
    },
}
_NAMES = TypeAdapter(dict[str, str])


async def read_names(request: Request) -> dict[str, str]:
    """The new name of each label, in the request's body. Raises InvalidParameter, ClientDisconnect."""
    body = await read_small_body(request, MAX_BODY_BYTES)
    try:
        names = _NAMES.validate_json(body, strict=True)
    except ValidationError as error:
        raise InvalidParameter(
            f"The body must be a JSON object of labels and names, such as {EXAMPLE}.".replace("'", '"'), str(error)
        ) from None
    if not 1 <= len(names) <= MAX_SPEAKERS:
        raise InvalidParameter(f"The body has {len(names)} names. Send 1 to {MAX_SPEAKERS}.")
    return names
