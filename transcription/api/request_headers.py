"""Request headers that more than one route reads."""

from __future__ import annotations

from starlette.requests import Request

from transcription.core.errors import InvalidParameter

MAX_KEY_CHARACTERS = 255


def is_no_store(request: Request) -> bool:
    """Whether Cache-Control forbids sharing the work and storing the result (RFC 9111)."""
    directives = request.headers.get("cache-control", "").lower().split(",")
    return "no-store" in (directive.strip() for directive in directives)


def idempotency_key(request: Request) -> str | None:
    """The Idempotency-Key, None if it is missing. Raises InvalidParameter."""
    key = request.headers.get("idempotency-key")
    if key is not None and not 0 < len(key) <= MAX_KEY_CHARACTERS:
        raise InvalidParameter(f"The Idempotency-Key must have 1 to {MAX_KEY_CHARACTERS} characters, not {len(key)}.")
    return key
