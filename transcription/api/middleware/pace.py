"""Uploads must keep arriving: a client that sends a byte now and then would hold a connection and a file open."""

from __future__ import annotations

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from transcription.core.errors import UploadTooSlow
from transcription.core.settings import Settings
from transcription.media.intake.transfer import Pace, Stalled, TooSlow

BODILESS = frozenset({"GET", "HEAD", "OPTIONS"})


class PaceMiddleware:
    """Ends uploads that stall or trickle: reading the body raises UploadTooSlow."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app = app
        self._settings = settings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] == "http" and scope["method"] not in BODILESS:
            receive = PacedBody(receive, self._settings.upload_timeout, self._settings.min_upload_rate).receive
        await self._app(scope, receive, send)


class PacedBody:
    """A request's body that must arrive at a least pace. timeout, rate: as for Pace."""

    def __init__(self, receive: Receive, timeout: float, rate: int) -> None:
        self._receive = receive
        self._pace = Pace(timeout, rate)
        self._complete = False

    async def receive(self) -> Message:
        """The next message. Raises UploadTooSlow."""
        if self._complete:  # the next message is the client's disconnect, which has no deadline
            return await self._receive()
        try:
            message = await self._pace.wait_for(self._receive())
            self._complete = not message.get("more_body", False)
            if not self._complete:
                self._pace.count(len(message.get("body", b"")))
        except Stalled:
            raise UploadTooSlow(
                f"No byte of the upload came for {self._pace.timeout:g} s. Check the connection and send it again."
            ) from None
        except TooSlow:
            raise UploadTooSlow(
                f"The upload came slower than {self._pace.rate} bytes a second. Send it over a faster connection."
            ) from None
        return message
