"""One shape for every error, whether our code, FastAPI, Starlette or BentoML produces it."""

from __future__ import annotations

import json
from typing import Any

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from starlette.websockets import WebSocketDisconnect

from transcription.api.errors import (
    INTERNAL_ERROR,
    RETRY_SECONDS,
    ErrorBody,
    error_body,
    framework_error,
)
from transcription.api.vendor_errors import VendorErrors, vendor_of

BODY_FIELDS = frozenset(ErrorBody.model_fields)
PARAMETER = "param"  # besides our fields; only OpenAI's shape has it
NOT_FOUND = 404
INTERNAL_CLOSE_CODE = 1011  # of a WebSocket, RFC 6455
DENIAL = "websocket."  # before the type of the messages of a response that refuses a WebSocket
REWRITTEN_TYPES = ("application/json", "text/plain")

log = structlog.get_logger("access")


class ErrorShapeMiddleware:
    """Rewrites errors in other shapes, and answers requests whose handler raised an exception.

    Placed inside RequestIdMiddleware, because errors contain the request id.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request. Exceptions do not propagate: BentoML would wait for an answer until its time limit."""
        if scope["type"] == "websocket":
            await self._serve_websocket(scope, receive, send)
            return
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        rewriter = ErrorRewriter(send, vendor_of(scope["path"]))
        try:
            await self._app(scope, receive, rewriter.send)
        except Exception:
            log.exception("unexpected_error", endpoint=scope["path"])
            await rewriter.fail()

    async def _serve_websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one WebSocket. The routes send errors as messages; this is for what they do not expect."""
        channel = WebSocketChannel(send, vendor_of(scope["path"]))
        try:
            await self._app(scope, receive, channel.send)
        except Exception as error:
            if channel.gone and isinstance(error, OSError | WebSocketDisconnect):
                return
            log.exception("unexpected_error", endpoint=scope["path"])
            await channel.fail()


class WebSocketChannel:
    """Passes the messages of a WebSocket on to `send`; a refusal before it is accepted is an error in our shape.

    vendor: whose shape errors have instead of ours. gone: the client has left.
    """

    def __init__(self, send: Send, vendor: VendorErrors | None) -> None:
        self._send = send
        self._denial = ErrorRewriter(self._send_denial, vendor)
        self._accepted = False
        self.gone = False

    async def send(self, message: Message) -> None:
        """Pass a message on. Raises OSError if the client has left."""
        if message["type"].startswith(DENIAL + "http."):
            await self._denial.send({**message, "type": message["type"].removeprefix(DENIAL)})
        elif not self._accepted and message["type"] == "websocket.close":  # Starlette's, where there is no such route
            await self._denial.send({"type": "http.response.start", "status": NOT_FOUND, "headers": []})
            await self._denial.send({"type": "http.response.body", "body": b""})
        else:
            self._accepted = True
            await self._send_if_there(message)

    async def fail(self) -> None:
        """End the connection for an internal error, unless the client has left."""
        if self.gone:
            return
        if self._accepted:
            await self._send({"type": "websocket.close", "code": INTERNAL_CLOSE_CODE})
        else:
            await self._denial.fail()

    async def _send_denial(self, message: Message) -> None:
        await self._send_if_there({**message, "type": DENIAL + message["type"]})

    async def _send_if_there(self, message: Message) -> None:
        try:
            await self._send(message)
        except OSError:  # the client has left, says the ASGI specification
            self.gone = True
            raise


class ErrorRewriter:
    """Passes a response on to `send`, and rewrites it if it is an error in another shape.

    vendor: whose shape errors get instead of ours.
    """

    def __init__(self, send: Send, vendor: VendorErrors | None = None) -> None:
        self._send = send
        self._vendor = vendor
        self._held: Message | None = None
        self._body = b""
        self._started = False

    async def send(self, message: Message) -> None:
        """Pass a message on. The messages of an error are held until its body is complete."""
        if message["type"] == "http.response.start":
            await self._start(message)
        elif self._held is not None and message["type"] == "http.response.body":
            self._body += message.get("body", b"")
            if not message.get("more_body"):
                await self._release(self._held)
        else:
            await self._send(message)

    async def fail(self) -> None:
        """Answer with an internal error, unless a response has already been started."""
        if not self._started:
            await self._send_error({"type": "http.response.start", "status": INTERNAL_ERROR.status, "headers": []})

    async def _start(self, message: Message) -> None:
        media_type = Headers(raw=message["headers"]).get("content-type", "text/plain")
        if message["status"] >= 400 and media_type.startswith(REWRITTEN_TYPES):
            self._held = message
            return
        self._started = True
        await self._send(message)

    async def _release(self, start: Message) -> None:
        ours = our_shape(self._body)
        if ours is None or self._vendor or PARAMETER in ours:
            await self._send_error(start, ours)
            return
        self._started = True
        await self._send(start)
        await self._send({"type": "http.response.body", "body": self._body})

    async def _send_error(self, start: Message, ours: dict[str, Any] | None = None) -> None:
        """Send the error. ours: the body, if it already is in our shape."""
        kind = framework_error(start["status"])
        status = start["status"] if ours else kind.status
        document = ours or error_body(kind, kind.example).model_dump()
        headers = MutableHeaders(scope=start)
        if self._vendor:
            status = self._vendor.status_of(status, document["error"])
            document = self._vendor.document_of(document, status)
            headers.update(self._vendor.headers_of(status))
        else:
            document.pop(PARAMETER, None)
        body = json.dumps(document).encode()
        self._started = True
        headers["Content-Type"] = "application/json"
        headers["Content-Length"] = str(len(body))
        if status in (429, 503):
            headers.setdefault("Retry-After", str(RETRY_SECONDS))
        await self._send({**start, "status": status, "headers": headers.raw})
        await self._send({"type": "http.response.body", "body": body})


def our_shape(body: bytes) -> dict[str, Any] | None:
    """An error in the shape of ErrorBody, possibly with more fields; None for anything else."""
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return document if isinstance(document, dict) and set(document) >= BODY_FIELDS else None
