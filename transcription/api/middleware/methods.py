"""HEAD and OPTIONS on every route, and the header Allow."""

from __future__ import annotations

import asyncio

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from transcription.api.route_facts import RouteTable

METHOD_NOT_ALLOWED = 405


class MethodsMiddleware:
    """Answers HEAD wherever GET is answered, and OPTIONS on every route.

    Placed inside AuthenticationMiddleware, and outside everything that serves routes. HEAD of a route that brings work
    is a route of its own: GET would do the work.
    """

    def __init__(self, app: ASGIApp, routes: RouteTable) -> None:
        self._app = app
        self._routes = routes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        methods = self._routes.methods(scope) if scope["type"] == "http" else frozenset()
        if not methods:
            await self._app(scope, receive, send)
            return
        allow = ", ".join(sorted(methods | {"OPTIONS"} | ({"HEAD"} if "GET" in methods else set())))
        if scope["method"] == "OPTIONS":
            await Response(status_code=204, headers={"Allow": allow})(scope, receive, send)
        elif scope["method"] == "HEAD" and "GET" in methods and "HEAD" not in methods:
            await head(self._app, scope, receive, send)
        else:
            await self._app(scope, receive, with_allow(send, allow))


async def head(app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
    """Answer with the headers of GET. The HTTP server drops the body; a stream, which may not end, is cancelled."""
    loop = asyncio.get_running_loop()
    stream = asyncio.timeout(None)
    ended = False

    async def send_head(message: Message) -> None:
        nonlocal ended
        if ended:
            return
        await send(message)
        if message["type"] == "http.response.start" and "content-length" not in Headers(raw=message["headers"]):
            ended = True
            await send({"type": "http.response.body", "body": b""})
            stream.reschedule(loop.time())

    try:
        async with stream:
            await app({**scope, "method": "GET"}, receive, send_head)
    except TimeoutError:
        if not stream.expired():
            raise


def with_allow(send: Send, allow: str) -> Send:
    """Send a response; one with status 405 has `allow` as its Allow: frameworks know only the route they tried."""

    async def send_with_allow(message: Message) -> None:
        if message["type"] == "http.response.start" and message["status"] == METHOD_NOT_ALLOWED:
            MutableHeaders(scope=message)["Allow"] = allow
        await send(message)

    return send_with_allow
