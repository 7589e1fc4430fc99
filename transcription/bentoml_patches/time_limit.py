"""A time limit until a response begins, in place of BentoML's, which leaks memory.

BentoML 1.4.39 starts a timer for each request and never cancels it. Until the timer fires, an hour with our settings,
it keeps the whole request alive: 14 kB each, 500 MB at ten requests a second. Nor does it notice an application that
returns without a response.
"""

from __future__ import annotations

import asyncio
from contextvars import Context

from bentoml._internal.server.http import traffic
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send


class TimeLimit:
    """Answers 504 and cancels the application if no response has begun within `timeout` seconds."""

    def __init__(self, app: ASGIApp, timeout: float) -> None:
        self._app = app
        self._timeout = timeout

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        limit = asyncio.timeout(None)
        begun = False

        async def send_in_time(message: Message) -> None:
            nonlocal begun
            if not begun and not limit.expired():
                limit.reschedule(None)  # a response that has begun may take as long as the client reads
            begun = True
            await send(message)

        try:
            async with limit:
                # In a context of its own: asyncio keeps a cancelled timer until it is due, and with it its context,
                # where BentoML has put the request.
                Context().run(limit.reschedule, asyncio.get_running_loop().time() + self._timeout)
                await self._app(scope, receive, send_in_time)
        except TimeoutError:
            if begun or not limit.expired():
                raise
            answer = JSONResponse({"error": f"Not able to process the request in {self._timeout} seconds"}, 504)
            await answer(scope, receive, send)


def install() -> None:
    """Replace BentoML's middleware in the applications that this process builds from now on."""
    traffic.TimeoutMiddleware = TimeLimit  # type: ignore[assignment, misc]
