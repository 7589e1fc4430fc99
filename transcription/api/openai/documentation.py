"""What the OpenAPI document says of OpenAI's routes."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, Field

from formats.registry import ResponseFormat
from transcription.api.openai.parameters import (
    ALIASES,
    CHUNKING,
    CHUNKING_TYPE,
    GRANULARITIES,
    INCLUDE,
    KEYWORDS,
    LANGUAGES,
    LOGPROBS,
    OF_TRANSLATIONS,
    OURS,
    STREAMED,
    VAD,
    Format,
)
from transcription.api.parameters.parsing import FILE
from transcription.api.parameters.transcription import Granularity

Document = dict[str, Any]


class ErrorDetail(BaseModel):
    """What was wrong."""

    message: str
    type: str = Field(examples=["invalid_request_error"])
    param: str | None = Field(examples=["temperature"])
    code: str | None = Field(examples=["invalid_parameter"])


class OpenAIError(BaseModel):
    """Every error of these routes."""

    error: ErrorDetail


STATUS_TEXT = {
    400: "A parameter is wrong, or the file cannot be transcribed",
    401: "An API key is needed",
    403: "The API key is not valid",
    404: "There is no such model",
    408: "The upload stalled, or came too slowly",
    413: "Too many bytes or too many seconds",
    422: "The recording is refused",
    429: "Too many requests or uploads; Retry-After says when to try again",
    431: "Too many headers",
    500: "A fault of the service",
    503: "Not ready, overloaded or stopping; Retry-After says when to try again",
}
ERRORS: dict[int | str, Document] = {
    status: {"model": OpenAIError, "description": text} for status, text in STATUS_TEXT.items()
}
RECORDING = {"type": "string", "format": "binary", "description": "The recording, as for POST /transcribe."}
_STRINGS = {"type": "array", "items": {"type": "string"}}
_PROPERTIES: Document = {
    FILE: RECORDING,
    "model": {
        "type": "string",
        "description": f"A model of GET /v1/models. {', '.join(ALIASES)} mean the default model.",
        "example": ALIASES[0],
    },
    "language": {"type": "string", "description": "Code or English name of the spoken language.", "example": "en"},
    "prompt": {"type": "string", "description": "Text that sets the style and the spelling of names."},
    "response_format": {
        "type": "string",
        "enum": [each for each in Format if each is not Format.DIARIZED_JSON],
        "default": Format.JSON,
    },
    "temperature": {"type": "number", "minimum": 0, "maximum": 1, "default": 0},
    "stream": {"type": "boolean", "default": False, "description": f"Events, with {' and '.join(STREAMED)} only."},
    f"{GRANULARITIES}[]": {
        "type": "array",
        "items": {"type": "string", "enum": list(Granularity)},
        "description": "What verbose_json lists; segment by default.",
    },
    f"{INCLUDE}[]": {"type": "array", "items": {"type": "string", "enum": [LOGPROBS]}},
    f"{KEYWORDS}[]": {**_STRINGS, "description": "Words to expect."},
    f"{LANGUAGES}[]": {**_STRINGS, "description": "Languages that may be spoken."},
    CHUNKING: {"type": "string", "enum": ["auto"]},
    CHUNKING_TYPE: {"type": "string", "enum": ["server_vad"]},
    **{name: {"type": "number", "default": float(default)} for name, (_, default) in VAD.items()},
}


def _body(names: frozenset[str] | None = None) -> Document:
    properties = {
        name: schema
        for name, schema in _PROPERTIES.items()
        if names is None or name == FILE or (name in names and name not in OURS)
    }
    schema = {"type": "object", "required": [FILE, "model"], "properties": properties}
    return {"required": True, "content": {"multipart/form-data": {"schema": schema}}}


TRANSCRIPTION_BODY = _body()
TRANSLATION_BODY = _body(OF_TRANSLATIONS)
TRANSCRIPTION_RESPONSES: dict[int | str, Document] = {
    200: {
        "description": "The transcript, in the format asked for",
        "content": {
            "application/json": {
                "example": {"text": "Hello, this is a test.", "usage": {"type": "duration", "seconds": 5.5}}
            },
            **{
                ResponseFormat(each.value).record.media_type: {"schema": {"type": "string"}}
                for each in (Format.TEXT, Format.SRT, Format.VTT)
            },
            "text/event-stream": {"schema": {"type": "string"}},
        },
    }
}
