"""A minimum rate for uploads: a client that sends a byte now and then would keep a connection and a file open."""

from __future__ import annotations

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from transcription.core.errors import UploadTooSlow
from transcription.core.settings import Settings
from transcription.media.intake.transfer import Pace, Stalled, TooSlow

BODILESS = frozenset({"GET", "HEAD", "OPTIONS"})


class PaceMiddleware:
    """Aborts uploads that stall or are too slow: reading the body raises UploadTooSlow."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app = app
        self._settings = settings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] == "http" and scope["method"] not in BODILESS:
            receive = PacedBody(receive, self._settings.upload_timeout, self._settings.min_upload_rate).receive
        await self._app(scope, receive, send)


class PacedBody:
    """A request's body with a minimum rate. timeout, rate: as for Pace."""

    def __init__(self, receive: Receive, timeout: float, rate: int) -> None:
        self._receive = receive
        self._pace = Pace(timeout, rate)
        self._complete = False

    async def receive(self) -> Message:
        """The next message. Raises UploadTooSlow."""
        if self._complete:  # only the disconnect of the client follows, which has no deadline
            return await self._receive()
        try:
            message = await self._pace.wait_for(self._receive())
            self._complete = not message.get("more_body", False)
            if not self._complete:
                self._pace.count(len(message.get("body", b"")))
        except Stalled:
            raise UploadTooSlow(
                f"No data arrived for {self._pace.timeout:g} s. Check the connection and send the upload again."
            ) from None
        except TooSlow:
            raise UploadTooSlow(
                f"The upload was slower than {self._pace.rate} bytes per second. Use a faster connection."
            ) from None
        return message
