"""A request's body that is read into memory, up to a limit."""

from __future__ import annotations

from starlette.requests import Request

from transcription.core.errors import InvalidParameter, TranscriptionError


async def read_small_body(
    request: Request, most_bytes: int, name: str = "body", too_large: type[TranscriptionError] = InvalidParameter
) -> bytes:
    """The whole body. name: what the client sent, for the error. Raises `too_large`, ClientDisconnect."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > most_bytes:
            raise too_large(f"The {name} is larger than {most_bytes} bytes.")
    return bytes(body)
