"""Errors as OpenAI's clients read them, on OpenAI's paths only."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

PREFIX = "/v1/"
# OpenAI answers 400 to whatever is wrong with a request, a file that cannot be decoded included.
STATUS: Mapping[str, int] = {
    "invalid_parameter": 400,
    "undecodable_media": 400,
    "no_audio_stream": 400,
    "audio_too_short": 400,
    "unknown_model": 404,
}
CODES: Mapping[str, str] = {"unknown_model": "model_not_found"}  # the others keep ours
PARAMETERS: Mapping[str, str] = {"unknown_model": "model", "unsupported_format": "file", "file_too_large": "file"}
TOO_MANY_REQUESTS = 429
SERVER_FAULT = 500
# What the client would try again by itself and what may go better then.
WORTH_A_RETRY = frozenset({408, TOO_MANY_REQUESTS, SERVER_FAULT, 503, 504})
SHOULD_RETRY = "x-should-retry"


def is_openai(path: str) -> bool:
    """Whether a path is one of OpenAI's."""
    return path.startswith(PREFIX)


def status_of(status: int, error: str) -> int:
    """The status of one of our errors there. error: as in our own shape."""
    return STATUS.get(error, status)


def headers_of(status: int) -> dict[str, str]:
    """Headers of an error: a permanent one is not to be tried again."""
    return {} if status in WORTH_A_RETRY else {SHOULD_RETRY: "false"}


def document_of(ours: Mapping[str, Any], status: int) -> dict[str, Any]:
    """OpenAI's shape of an error in our own shape. ours: may have `param`. status: as OpenAI has it."""
    error = str(ours["error"])
    return {
        "error": {
            "message": ours["message"],
            "type": _type(status),
            "param": ours.get("param") or PARAMETERS.get(error),
            "code": CODES.get(error, error),
        }
    }


def _type(status: int) -> str:
    if status == TOO_MANY_REQUESTS:
        return "rate_limit_error"
    return "server_error" if status >= SERVER_FAULT else "invalid_request_error"
