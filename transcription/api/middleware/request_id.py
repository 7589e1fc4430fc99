"""The request id and the access log entry of every request."""

from __future__ import annotations

import re
import time
import uuid

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from transcription.api.caller import CALLER
from transcription.api.route_facts import WEBSOCKET, RouteTable
from transcription.telemetry.logs import request_context

REQUEST_ID_HEADER = "X-Request-ID"
# Messages that begin an answer; the last two are of a WebSocket, which is refused or accepted.
STARTS = frozenset({"http.response.start", "websocket.http.response.start", "websocket.accept"})
SWITCHING_PROTOCOLS = 101
SAFE_REQUEST_ID = re.compile(r"[A-Za-z0-9._:/+=-]{1,128}")

log = structlog.get_logger("access")


class RequestIdMiddleware:
    """Adds the request id to the log lines of a request, returns it as X-Request-ID, and logs the request."""

    def __init__(self, app: ASGIApp, routes: RouteTable) -> None:
        self._app = app
        self._routes = routes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        request_id = choose_request_id(Headers(scope=scope).get(REQUEST_ID_HEADER))
        status = 0

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] in STARTS:
                status = message.get("status", SWITCHING_PROTOCOLS)
                message.setdefault("headers", [])
                MutableHeaders(scope=message)[REQUEST_ID_HEADER] = request_id
            await send(message)

        with request_context(request_id):
            started = time.perf_counter()
            try:
                await self._app(scope, receive, send_with_id)
            finally:
                self._log(scope, status, time.perf_counter() - started)

    def _log(self, scope: Scope, status: int, seconds: float) -> None:
        """Write the access log entry. status: 0 if no response was started."""
        level = log.debug if self._routes.facts(scope).probe and status < 400 else log.info
        level(
            "request",
            endpoint=scope["path"],
            method=scope.get("method", WEBSOCKET),
            status_code=status,
            duration_ms=round(seconds * 1000),
            **({"user_id": scope[CALLER].name} if CALLER in scope else {}),
        )


def choose_request_id(given: str | None) -> str:
    """The id that the client sent, if it is safe to log and to return; otherwise a new one."""
    return given if given and SAFE_REQUEST_ID.fullmatch(given) else str(uuid.uuid4())
