"""Errors over HTTP in the shape that Deepgram's clients expect, on Deepgram's path only."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from transcription.api.openai.errors import PREFIX, UNAUTHORIZED

LISTEN = f"{PREFIX}/listen"
# Deepgram answers 400 to any fault in a request, an unknown model included, and 401 to a wrong key.
STATUS: Mapping[str, int] = {
    "invalid_parameter": 400,
    "unknown_model": 400,
    "model_not_allowed": 400,
    "invalid_api_key": UNAUTHORIZED,
}
# Those of other statuses are the statuses' names, as "Bad Request".
CODES: Mapping[int, str] = {UNAUTHORIZED: "INVALID_AUTH", 429: "TOO_MANY_REQUESTS"}
NAMES: Mapping[int, str] = {status.value: status.phrase for status in HTTPStatus}


def is_deepgram(path: str) -> bool:
    """Whether a path belongs to Deepgram's API."""
    return path == LISTEN


def status_of(status: int, error: str) -> int:
    """The status that Deepgram uses for one of our errors. error: its code."""
    return STATUS.get(error, status)


def headers_of(status: int) -> dict[str, str]:
    """The headers of an error."""
    return {"WWW-Authenticate": "Token"} if status == UNAUTHORIZED else {}


def document_of(ours: Mapping[str, Any], status: int) -> dict[str, Any]:
    """Convert an error body from our shape to Deepgram's. status: the one Deepgram uses."""
    code = CODES.get(status) or NAMES.get(status, str(ours["error"]))
    return {"err_code": code, "err_msg": ours["message"], "request_id": ours["request_id"]}
