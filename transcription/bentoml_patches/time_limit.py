"""BentoML's limit on the time until an answer begins, without what its own leaves behind.

BentoML 1.4.39 starts a timer for each request and never stops it. Until its time has come, an hour with our settings,
a timer keeps everything that belonged to its request: 14 kB each, 500 MB at ten requests a second. Nor does it notice
that the application ended without an answer.
"""

from __future__ import annotations

import asyncio

from bentoml._internal.server.http import traffic
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send


class TimeLimit:
    """Answers 504 and cancels the application when nothing was answered within `timeout` seconds."""

    def __init__(self, app: ASGIApp, timeout: float) -> None:
        self._app = app
        self._timeout = timeout

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        limit = asyncio.timeout(self._timeout)
        begun = False

        async def send_in_time(message: Message) -> None:
            nonlocal begun
            if not begun and not limit.expired():
                limit.reschedule(None)  # an answer that has begun may take as long as its reader does
            begun = True
            await send(message)

        try:
            async with limit:
                await self._app(scope, receive, send_in_time)
        except TimeoutError:
            if begun or not limit.expired():
                raise
            answer = JSONResponse({"error": f"Not able to process the request in {self._timeout} seconds"}, 504)
            await answer(scope, receive, send)


def install() -> None:
    """Take the place of BentoML's, in the applications that are made from now on in this process."""
    traffic.TimeoutMiddleware = TimeLimit  # type: ignore[assignment, misc]
