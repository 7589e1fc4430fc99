"""Uploads must keep arriving, so that nobody holds a connection and a file open with a byte now and then."""

from __future__ import annotations

import asyncio
import time

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from transcription.core.errors import UploadTooSlow
from transcription.core.settings import Settings

BODILESS = frozenset({"GET", "HEAD", "OPTIONS"})


class PaceMiddleware:
    """Ends uploads that stall or trickle: whoever reads the body gets UploadTooSlow."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app = app
        self._settings = settings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] == "http" and scope["method"] not in BODILESS:
            receive = PacedBody(receive, self._settings.upload_timeout, self._settings.min_upload_rate).receive
        await self._app(scope, receive, send)


class PacedBody:
    """A request's body with a least pace.

    timeout: seconds without one byte. rate: bytes a second on average, once `timeout` seconds have been waited.
    """

    def __init__(self, receive: Receive, timeout: float, rate: int) -> None:
        self._receive = receive
        self._timeout = timeout
        self._rate = rate
        self._waited = 0.0  # only what the client took: a slow disk of ours is not its fault
        self._received = 0
        self._complete = False

    async def receive(self) -> Message:
        """The next message. Raises UploadTooSlow."""
        if self._complete:  # whoever waits now waits for the client to leave
            return await self._receive()
        started = time.monotonic()
        try:
            async with asyncio.timeout(self._timeout):
                message = await self._receive()
        except TimeoutError:
            raise UploadTooSlow(
                f"No byte of the upload came for {self._timeout:g} s. Check the connection and send it again."
            ) from None
        self._waited += time.monotonic() - started
        self._received += len(message.get("body", b""))
        self._complete = not message.get("more_body", False)
        if not self._complete and self._waited > self._timeout and self._received < self._rate * self._waited:
            raise UploadTooSlow(
                f"The upload came slower than {self._rate} bytes a second. Send it over a faster connection."
            )
        return message
