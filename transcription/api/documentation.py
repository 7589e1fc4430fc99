"""The parts of the OpenAPI document that FastAPI cannot derive, because uploads are read by us."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from formats.registry import ResponseFormat, render
from transcription.api.errors import KINDS, ErrorBody, Kind
from transcription.api.parameters.parsing import FILE, URL
from transcription.api.parameters.transcription import MAX_URL_CHARACTERS, TranscriptionParameters
from transcription.api.schemas.jobs import JobAccepted
from transcription.api.schemas.transcript import TranscriptionResponse
from transcription.core.errors import JobTookTooLong, RecordingLost, RepeatedlyInterrupted, UnknownJob, WrongJobState
from transcription.core.transcript import Segment, Transcript

Document = dict[str, Any]

DESCRIPTION = """An audio or video file in, text with timestamps out.

Every error of every route has the same shape: `error`, `message`, `detail`, `timestamp`, `request_id`. The header
`X-Request-ID` is taken from the request or made, is on every response and in every log line.
BentoML's clients use `POST /api/transcribe`, which the page at `/` describes."""
URL_SUMMARY = "Transcribe the audio or video file at a URL"
TRANSCRIBE_SUMMARY = "Transcribe an audio or video file"
STATUS_TEXT = {
    400: "The file is not of a supported format, or not what its name or type says",
    401: "An API key is needed",
    403: "The API key is not valid",
    404: "There is no such job, or it has expired",
    408: "The upload stalled, or came too slowly",
    409: "The state of the job does not allow it, or the Idempotency-Key was used for something else",
    413: "Too many bytes or too many seconds",
    422: "A parameter is wrong, or the file has no usable sound",
    429: "Too many requests or uploads; Retry-After says when to try again",
    431: "Too many headers",
    500: "A fault of the service",
    501: "Turned off in this deployment",
    503: "Not ready, overloaded or stopping; Retry-After says when to try again",
}
SECURITY_SCHEMES: Document = {
    "ApiKey": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
    "Bearer": {"type": "http", "scheme": "bearer", "description": "The same key as Authorization: Bearer KEY."},
}
EXAMPLE_WORD = {"word": "Hello,", "start": 0.0, "end": 0.5, "confidence": 0.96}
EXAMPLE: Document = {
    "text": "Hello, this is a test.",
    "language": "en",
    "language_probability": 0.98,
    "duration": 5.5,
    "segments": [{"id": 0, "start": 0.0, "end": 5.2, "text": "Hello, this is a test.", "confidence": 0.95}],
    "processing_time": 1.3,
}
EXAMPLE_VERBOSE: Document = {
    "task": "transcribe",
    "model": "base",
    **EXAMPLE,
    "segments": [
        {
            **EXAMPLE["segments"][0],
            "seek": 0,
            "tokens": [50364, 2425, 11, 341, 307, 257, 1500, 13, 50624],
            "temperature": 0.0,
            "avg_logprob": -0.05,
            "compression_ratio": 0.73,
            "no_speech_prob": 0.01,
        }
    ],
    "warnings": [
        {
            "segment": None,
            "start": 5.2,
            "end": 5.5,
            "text": "Thanks for watching!",
            "reason": "no_voice",
            "action": "dropped",
            "message": "No voice is heard there, and the model is not sure of the words. "
            "Send hallucinations=mark to have such segments back.",
        }
    ],
}
_SPOKEN = Segment(0.0, 5.2, EXAMPLE["text"], (), -0.05, 0.73, 0.01, 0.0)
_EXAMPLE_TRANSCRIPT = Transcript("en", 0.98, 5.5, (_SPOKEN,), "base")
# By media type; of two formats with the same media type, the first. JSON has examples of its own.
EXAMPLES_OF_FORMATS = {
    each.record.media_type: render(_EXAMPLE_TRANSCRIPT, each).body
    for each in reversed(ResponseFormat)
    if each.record.media_type != ResponseFormat.JSON.record.media_type
}


def flat_schema(schema: Document) -> Document:
    """A JSON schema of one object without references and without null alternatives, which form pages cannot show."""
    definitions = schema.get("$defs", {})
    return {name: _flat(field, definitions) for name, field in schema["properties"].items()}


def _flat(field: Document, definitions: Document) -> Document:
    alternatives = [item for item in field.get("anyOf", []) if item.get("type") != "null"]
    merged = {**field, **(alternatives[0] if alternatives else {})}
    if reference := merged.pop("$ref", ""):
        merged = {**definitions[reference.rsplit("/", 1)[-1]], **merged}
    dropped = {"anyOf", "title"} | ({"default"} if merged.get("default", ...) is None else set())
    return {key: value for key, value in merged.items() if key not in dropped}


def error_example(kind: Kind) -> Document:
    """An error as it looks on the wire."""
    body = ErrorBody(
        error=kind.error,
        message=kind.example,
        detail="",
        timestamp="2026-11-23T10:30:00Z",
        request_id="2f1c7f3e-9f0e-4c39-a3dc-6d7a1d2d9c11",
    )
    return {"summary": kind.error, "value": body.model_dump()}


def error_responses(kinds: Iterable[Kind]) -> dict[int | str, Document]:
    """The responses section for these errors: one entry a status, one example an error."""
    responses: dict[int | str, Document] = {}
    for kind in sorted(kinds, key=lambda kind: kind.status):
        entry = responses.setdefault(
            kind.status,
            {
                "model": ErrorBody,
                "description": STATUS_TEXT[kind.status],
                "content": {"application/json": {"examples": {}}},
            },
        )
        entry["content"]["application/json"]["examples"][kind.error] = error_example(kind)
    return responses


def add_security(document: Document, open_paths: Iterable[str], *, needed: bool) -> Document:
    """Say in an OpenAPI document how a caller shows its key: either way will do.

    open_paths: need no key. needed: whether the others do.
    """
    document.setdefault("components", {})["securitySchemes"] = SECURITY_SCHEMES
    if not needed:
        return document
    document["security"] = [{name: []} for name in SECURITY_SCHEMES]
    for path in open_paths:
        for operation in document["paths"].get(path, {}).values():
            operation["security"] = []
    return document


_FIELDS = flat_schema(TranscriptionParameters.model_json_schema(by_alias=True))

URL_FIELD: Document = {
    "type": "string",
    "description": "In place of a file: where the recording is. https, and a public address.",
    "maxLength": MAX_URL_CHARACTERS,
    "example": "https://example.com/talk.mp3",
}
TRANSCRIBE_BODY: Document = {
    "required": True,
    "content": {
        "multipart/form-data": {
            "schema": {
                "type": "object",
                "anyOf": [{"required": [FILE]}, {"required": [URL]}],
                "properties": {
                    FILE: {
                        "type": "string",
                        "format": "binary",
                        "description": "mp3, wav, ogg, flac, m4a, aac, wma, mp4, webm, avi, mov, mkv or flv.",
                    },
                    URL: URL_FIELD,
                    **_FIELDS,
                },
            }
        }
    },
}
TRANSCRIBE_PARAMETERS: list[Document] = [
    {
        "name": name,
        "in": "query",
        "required": False,
        "description": field.get("description", ""),
        "schema": {key: value for key, value in field.items() if key != "description"},
    }
    for name, field in _FIELDS.items()
]
URL_PARAMETER: Document = {
    "name": URL,
    "in": "query",
    "required": True,
    "description": URL_FIELD["description"],
    "schema": {name: value for name, value in URL_FIELD.items() if name != "description"},
}
TRANSCRIBE_HEADERS: list[Document] = [
    {
        "name": "Idempotency-Key",
        "in": "header",
        "required": False,
        "description": "With async=true: the same key is the same job, however often it is sent.",
        "schema": {"type": "string", "maxLength": 255},
    },
    {
        "name": "Cache-Control",
        "in": "header",
        "required": False,
        "description": "no-store shares the work with nobody and stores no result that answers others.",
        "schema": {"type": "string"},
    },
]
KINDS_OF_JOBS = tuple(
    KINDS[error] for error in (UnknownJob, WrongJobState, RepeatedlyInterrupted, JobTookTooLong, RecordingLost)
)
TRANSCRIBE_RESPONSES: dict[int | str, Document] = {
    200: {
        "model": TranscriptionResponse,
        "description": "The transcript, in the format asked for",
        "content": {
            "application/json": {
                "examples": {
                    "segment": {"summary": "timestamp_granularity=segment", "value": EXAMPLE},
                    "word": {
                        "summary": "timestamp_granularity=word",
                        "value": {**EXAMPLE, "words": [EXAMPLE_WORD]},
                    },
                    "verbose": {"summary": "response_format=verbose_json", "value": EXAMPLE_VERBOSE},
                }
            },
            **{
                media_type: {"schema": {"type": "string"}, "example": example}
                for media_type, example in EXAMPLES_OF_FORMATS.items()
            },
        },
    },
    202: {"model": JobAccepted, "description": "With async=true: the job is accepted; Location says where it is"},
    **error_responses([kind for kind in KINDS.values() if kind not in KINDS_OF_JOBS]),
}
