"""The OpenAPI documentation of OpenAI's routes, whose form is read by our own code."""

from __future__ import annotations

from formats.registry import ResponseFormat
from transcription.api.documentation import Document, Responses, enumeration, file_schema, multipart_body
from transcription.api.known_speakers import KNOWN_SCHEMAS
from transcription.api.openai.form import CHUNKING, GRANULARITIES, INCLUDE, KEYWORDS, LANGUAGES
from transcription.api.openai.models import ALIASES
from transcription.api.openai.parameters import (
    BY_ITSELF,
    CHUNKING_TYPE,
    EXTENSIONS,
    LOGPROBS,
    SERVER_VAD,
    STREAMED,
    TRANSCRIPTION_NAMES,
    TRANSLATION_NAMES,
    VAD,
    OpenAIFormat,
)
from transcription.api.openai.schemas import OpenAIError, OpenAIJson
from transcription.api.parameters.parsing import FILE
from transcription.api.parameters.transcription import Granularity

STATUS_TEXT = {
    400: "A parameter is invalid, or the file cannot be transcribed",
    401: "An API key is required, or the key is invalid",
    403: "The request is not allowed",
    404: "The model does not exist",
    408: "The upload stalled or was too slow",
    413: "The file has too many bytes, or the recording too many seconds",
    422: "The recording was refused",
    429: "Too many requests or uploads; Retry-After says when to try again",
    431: "Too many headers",
    500: "Internal error",
    503: "Not ready, overloaded or shutting down; Retry-After says when to try again",
}
ERRORS: Responses = {status: {"model": OpenAIError, "description": text} for status, text in STATUS_TEXT.items()}
_STRINGS = {"type": "array", "items": {"type": "string"}}
_PROPERTIES: Document = {
    FILE: file_schema("The recording, as for POST /transcribe."),
    "model": {
        "type": "string",
        "description": f"A model of GET /v1/models. {', '.join(ALIASES)} select the default model; the name of another "
        "vendor's Whisper, such as openai/whisper-large-v3, the same model if it is on disk, else the default.",
        "example": ALIASES[0],
    },
    "language": {
        "type": "string",
        "description": "Code, English name or tag such as en-US; detected if missing or auto.",
        "example": "en",
    },
    "prompt": {"type": "string", "description": "Text that guides the style and the spelling of names."},
    "response_format": {
        **enumeration("OpenAIFormat", OpenAIFormat),
        "default": OpenAIFormat.JSON,
    },
    "temperature": {"type": "number", "minimum": 0, "maximum": 1, "default": 0},
    "stream": {
        "type": "boolean",
        "default": False,
        "description": f"Send server-sent events; with {', '.join(STREAMED)} only.",
    },
    f"{GRANULARITIES}[]": {
        "type": "array",
        "items": enumeration("Granularity", Granularity),
        "description": "The timestamps in verbose_json; segment by default.",
    },
    f"{INCLUDE}[]": {"type": "array", "items": enumeration("OpenAIInclude", [LOGPROBS])},
    f"{KEYWORDS}[]": {**_STRINGS, "description": "Words that are likely to occur."},
    f"{LANGUAGES}[]": {**_STRINGS, "description": "Languages that may be spoken."},
    **KNOWN_SCHEMAS,
    CHUNKING: enumeration("ChunkingStrategy", [BY_ITSELF]),
    CHUNKING_TYPE: enumeration("ChunkingType", [SERVER_VAD]),
    **{
        name: {"type": "number", "description": f"With {CHUNKING_TYPE}={SERVER_VAD}.", "default": float(default)}
        for name, (_, default) in VAD.items()
    },
}


def _body(title: str, names: frozenset[str], required: list[str]) -> Document:
    properties = {
        name: schema
        for name, schema in _PROPERTIES.items()
        if name == FILE or (name.removesuffix("[]") in names and name not in EXTENSIONS)
    }
    if LANGUAGES not in names:  # of translations
        formats = [each for each in OpenAIFormat if each is not OpenAIFormat.DIARIZED_JSON]
        properties["response_format"] = {**properties["response_format"], **enumeration("TranslationFormat", formats)}
    return multipart_body(title, properties, required=required)


TRANSCRIPTION_BODY = _body("OpenAITranscriptionForm", TRANSCRIPTION_NAMES, [FILE, "model"])
TRANSLATION_BODY = _body("OpenAITranslationForm", TRANSLATION_NAMES, [FILE, "model"])
DEPLOYMENT_TRANSCRIPTION_BODY = _body("DeploymentTranscriptionForm", TRANSCRIPTION_NAMES, [FILE])
DEPLOYMENT_TRANSLATION_BODY = _body("DeploymentTranslationForm", TRANSLATION_NAMES, [FILE])
_EXAMPLE = {"text": "Hello, this is a test.", "usage": {"type": "duration", "seconds": 5.5}}
_TEXT: Document = {
    ResponseFormat.TEXT.record.media_type: {
        "schema": {"type": "string", "description": "response_format is text, srt or vtt."}
    }
}
_EVENTS: Document = {"text/event-stream": {"schema": {"type": "string"}}}
TRANSLATION_RESPONSES: Responses = {
    200: {
        "model": OpenAIJson,
        "description": "The transcript in the requested format",
        "content": {ResponseFormat.JSON.record.media_type: {"example": _EXAMPLE}, **_TEXT},
    }
}
TRANSCRIPTION_RESPONSES: Responses = {
    200: {
        **TRANSLATION_RESPONSES[200],
        "content": {ResponseFormat.JSON.record.media_type: {"example": _EXAMPLE}, **_TEXT, **_EVENTS},
    }
}
