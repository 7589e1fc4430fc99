"""The end of a request that a middleware checks before it is served."""

from __future__ import annotations

from collections.abc import Callable

from starlette.types import ASGIApp, Receive, Scope, Send

from transcription.api.errors import error_response
from transcription.core.errors import TranscriptionError


async def serve_checked(
    app: ASGIApp, check: Callable[[Scope], None], scope: Scope, receive: Receive, send: Send
) -> None:
    """Serve the request, or answer with the error that the check raises."""
    try:
        check(scope)
    except TranscriptionError as error:
        await error_response(error)(scope, receive, send)
        return
    await app(scope, receive, send)
