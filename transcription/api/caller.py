"""The authenticated sender of a request."""

from __future__ import annotations

from dataclasses import dataclass

CALLER = "transcription.caller"  # key in the ASGI scope; absent if no API key is required
# Also a key in the ASGI scope: a function that takes the size of the upload so far, in bytes; absent without limits.
COUNT_BYTES = "transcription.count_bytes"


@dataclass(frozen=True, slots=True)
class Caller:
    """The owner of a valid API key.

    name: the name of the key, safe to log. uploads_per_minute, reads_per_minute: its limits; None for the default.
    """

    name: str
    uploads_per_minute: int | None = None
    reads_per_minute: int | None = None
