"""Errors in the shape that OpenAI's clients expect, on OpenAI's paths only."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

PREFIX = "/v1"
VENDOR_PREFIX = "/openai"  # of Azure's paths
UNAUTHORIZED = 401
TOO_MANY_REQUESTS = 429
SERVER_FAULT = 500
# OpenAI answers 400 to any fault in a request, including a file that cannot be decoded, and 401 to a wrong key.
STATUS: Mapping[str, int] = {
    "invalid_parameter": 400,
    "undecodable_media": 400,
    "no_audio_stream": 400,
    "audio_too_short": 400,
    "unknown_model": 404,
    "model_not_allowed": 404,
    "invalid_api_key": UNAUTHORIZED,
}
# The other codes are ours.
CODES: Mapping[str, str] = {"unknown_model": "model_not_found", "model_not_allowed": "model_not_found"}
PARAMETERS: Mapping[str, str] = {
    "unknown_model": "model",
    "model_not_allowed": "model",
    "unsupported_format": "file",
    "file_too_large": "file",
}
# OpenAI's clients retry these by themselves, and a retry may succeed.
RETRYABLE = frozenset({408, TOO_MANY_REQUESTS, SERVER_FAULT, 503, 504})
SHOULD_RETRY_HEADER = "x-should-retry"


def is_openai(path: str) -> bool:
    """Whether a path belongs to OpenAI's API, under its own prefix or Azure's."""
    return path.startswith((f"{PREFIX}/", f"{VENDOR_PREFIX}/"))


def status_of(status: int, error: str) -> int:
    """The status that OpenAI uses for one of our errors. error: its code."""
    return STATUS.get(error, status)


def headers_of(status: int) -> dict[str, str]:
    """The headers of an error. A permanent one tells the client not to retry."""
    if status in RETRYABLE:
        return {}
    challenge = {"WWW-Authenticate": "Bearer"} if status == UNAUTHORIZED else {}
    return {SHOULD_RETRY_HEADER: "false", **challenge}


def document_of(ours: Mapping[str, Any], status: int) -> dict[str, Any]:
    """Convert an error body from our shape to OpenAI's. ours: may have `param`. status: the one OpenAI uses."""
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
