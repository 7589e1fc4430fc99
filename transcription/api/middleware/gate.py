"""The entrance for requests: some at a time, so that a crowd of them does not delay the probes.

An event loop runs everything that is ready before it looks for new requests. If sixty requests are being served at
once, a probe waits for a part of each; for all of each, where nothing has to be waited for, as in a refusal.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import ParamSpec, TypeVar

from starlette.types import ASGIApp, Receive, Scope, Send

from transcription.api.errors import error_response
from transcription.api.route_facts import RouteTable
from transcription.core.errors import ServiceUnavailable

# From their arrival to the begin of their response, or of an upload, which is what takes CPU time. No more begin in one
# round of the event loop.
AT_ONCE = 4
# Then the next one is let in: this one waits for the store or for a thread, and takes no CPU time.
HOLD_SECONDS = 0.1
MAX_WAITING = 2000
RETRY_SECONDS = 5.0
# As transcription/bentoml_patches/bounded_connections.py sets it in the state of the scope.
CROWDED = "transcription.crowded"

Parameters = ParamSpec("Parameters")
Answer = TypeVar("Answer")


class GateMiddleware:
    """Lets reads in one after the other, and beside them uploads, probes, and slow probes.

    Answers 503 to requests on connections beyond those that the descriptors allow, and to reads beyond MAX_WAITING.
    """

    def __init__(self, app: ASGIApp, routes: RouteTable) -> None:
        self._app = app
        self._routes = routes
        self._reads = Entrance(AT_ONCE, HOLD_SECONDS)
        self._uploads = Entrance(AT_ONCE, HOLD_SECONDS)
        self._slow_probes = Entrance(1, HOLD_SECONDS)
        self._probes = Entrance(AT_ONCE, 0.0)  # the service that one asks for may not answer: no other waits for it

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        facts = self._routes.facts(scope)
        if facts.probe:
            async with (self._slow_probes if facts.slow else self._probes).place() as leave:
                await self._app(scope, receive, _before(send, leave))
        elif scope.get("state", {}).get(CROWDED):
            await self._refuse("Too many connections are open. Try again in a moment.", scope, receive, send)
        elif scope["type"] == "websocket":
            await self._app(scope, receive, send)
        elif facts.upload:
            async with self._uploads.place() as leave:
                await self._app(scope, _before(receive, leave), _before(send, leave))
        elif self._reads.waiting >= MAX_WAITING:
            await self._refuse("Too many requests are waiting. Try again in a moment.", scope, receive, send)
        else:
            async with self._reads.place() as leave:
                await self._app(scope, receive, _before(send, leave))

    async def _refuse(self, message: str, scope: Scope, receive: Receive, send: Send) -> None:
        response = error_response(ServiceUnavailable(message, retry_after=RETRY_SECONDS))
        response.headers["Connection"] = "close"
        await response(scope, receive, send)


class Entrance:
    """Places of requests that begin. waiting: requests without one. hold_seconds: after which one has to be left."""

    def __init__(self, places: int, hold_seconds: float) -> None:
        self._places = asyncio.Semaphore(places)
        self._hold_seconds = hold_seconds
        self.waiting = 0

    @asynccontextmanager
    async def place(self) -> AsyncIterator[Callable[[], None]]:
        """A place. The function leaves it before the context ends; so does its time."""
        self.waiting += 1
        try:
            await self._places.acquire()
        finally:
            self.waiting -= 1
        loop = asyncio.get_running_loop()
        held = True

        def leave() -> None:
            nonlocal held
            if held:
                held = False
                loop.call_soon(self._places.release)  # the next one begins in another round of the loop

        timer = loop.call_later(self._hold_seconds, leave)
        try:
            yield leave
        finally:
            timer.cancel()
            leave()


def _before(
    call: Callable[Parameters, Awaitable[Answer]], leave: Callable[[], None]
) -> Callable[Parameters, Awaitable[Answer]]:
    async def leave_and_call(*args: Parameters.args, **kwargs: Parameters.kwargs) -> Answer:
        leave()
        return await call(*args, **kwargs)

    return leave_and_call
