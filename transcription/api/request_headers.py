"""Request headers of every route that transcribes."""

from __future__ import annotations

from typing import Annotated

from fastapi import Header
from starlette.requests import Request

from transcription.core.errors import InvalidParameter

MAX_KEY_CHARACTERS = 255


async def documented_headers(
    idempotency_key: Annotated[
        str,
        Header(
            alias="Idempotency-Key",
            description="With async=true: repeated submissions with the same key return the same job.",
            json_schema_extra={"maxLength": MAX_KEY_CHARACTERS},
        ),
    ] = "",
    cache_control: Annotated[
        str,
        Header(
            alias="Cache-Control",
            description="no-store: the work is not shared with other requests, and the result is not cached.",
        ),
    ] = "",
) -> None:
    """A dependency that documents the headers below, which BentoML's routes read, too."""


def is_no_store(request: Request) -> bool:
    """Whether Cache-Control forbids sharing the work and storing the result (RFC 9111)."""
    directives = request.headers.get("cache-control", "").lower().split(",")
    return "no-store" in (directive.strip() for directive in directives)


def idempotency_key(request: Request) -> str | None:
    """The Idempotency-Key, or None without one. Raises InvalidParameter if it is empty or too long."""
    key = request.headers.get("idempotency-key")
    if key is not None and not 0 < len(key) <= MAX_KEY_CHARACTERS:
        raise InvalidParameter(f"The Idempotency-Key must have 1 to {MAX_KEY_CHARACTERS} characters, not {len(key)}.")
    return key
