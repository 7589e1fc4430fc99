"""The entrance for requests that only read: some at a time, so that a crowd of them does not delay the probes.

An event loop runs everything that is ready before it looks for new requests. If sixty readers are being served at once,
a probe waits for a part of each.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from transcription.api.errors import error_response
from transcription.api.route_facts import RouteTable
from transcription.core.errors import ServiceUnavailable

READS_AT_ONCE = 4  # from their arrival to the begin of their response, which is what takes CPU time
# Then the next one is let in: this one waits for the store or for a thread, and takes no CPU time.
HOLD_SECONDS = 0.1
MAX_WAITING = 2000
RETRY_SECONDS = 5.0
# As transcription/bentoml_patches/bounded_connections.py sets it in the state of the scope.
CROWDED = "transcription.crowded"


class GateMiddleware:
    """Lets reads in one after the other, and probes and uploads at once.

    Answers 503 to requests on connections beyond those that the descriptors allow, and beyond MAX_WAITING.
    """

    def __init__(self, app: ASGIApp, routes: RouteTable) -> None:
        self._app = app
        self._routes = routes
        self._places = asyncio.Semaphore(READS_AT_ONCE)
        self._waiting = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] not in ("http", "websocket") or (facts := self._routes.facts(scope)).probe:
            await self._app(scope, receive, send)
        elif scope.get("state", {}).get(CROWDED):
            await self._refuse("Too many connections are open. Try again in a moment.", scope, receive, send)
        elif facts.upload or scope["type"] == "websocket":
            await self._app(scope, receive, send)
        elif self._waiting >= MAX_WAITING:
            await self._refuse("Too many requests are waiting. Try again in a moment.", scope, receive, send)
        else:
            async with self._place() as leave:
                await self._app(scope, receive, _before_response(send, leave))

    @asynccontextmanager
    async def _place(self) -> AsyncIterator[Callable[[], None]]:
        """A place among the READS_AT_ONCE. The function leaves it before the context ends; so does HOLD_SECONDS."""
        self._waiting += 1
        try:
            await self._places.acquire()
        finally:
            self._waiting -= 1
        held = True

        def leave() -> None:
            nonlocal held
            if held:
                held = False
                self._places.release()

        timer = asyncio.get_running_loop().call_later(HOLD_SECONDS, leave)
        try:
            yield leave
        finally:
            timer.cancel()
            leave()

    async def _refuse(self, message: str, scope: Scope, receive: Receive, send: Send) -> None:
        response = error_response(ServiceUnavailable(message, retry_after=RETRY_SECONDS))
        response.headers["Connection"] = "close"
        await response(scope, receive, send)


def _before_response(send: Send, leave: Callable[[], None]) -> Send:
    async def send_and_leave(message: Message) -> None:
        leave()
        await send(message)

    return send_and_leave
