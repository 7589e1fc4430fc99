"""Who sends a request, as far as we know."""

from __future__ import annotations

from dataclasses import dataclass

CALLER = "transcription.caller"  # key in an ASGI scope; absent for callers without a key
COUNT_BYTES = "transcription.count_bytes"  # likewise: takes the bytes of an upload so far; absent without limits


@dataclass(frozen=True, slots=True)
class Caller:
    """The owner of a valid API key.

    name: of the key, safe to log. uploads_per_minute, reads_per_minute: limits of this key, None for everybody's.
    """

    name: str
    uploads_per_minute: int | None = None
    reads_per_minute: int | None = None
