"""The authenticated sender of a request."""

from __future__ import annotations

from dataclasses import dataclass

CALLER = "transcription.caller"  # key in an ASGI scope; absent without an API key
# Likewise: a function that takes the number of bytes of an upload so far; absent without limits.
COUNT_BYTES = "transcription.count_bytes"


@dataclass(frozen=True, slots=True)
class Caller:
    """The owner of a valid API key.

    name: of the key, safe to log. uploads_per_minute, reads_per_minute: limits of this key, None for the default.
    """

    name: str
    uploads_per_minute: int | None = None
    reads_per_minute: int | None = None
