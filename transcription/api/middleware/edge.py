"""The outermost layer of every route, ours and BentoML's: request id, access line, one shape for every error."""

from __future__ import annotations

import json
import re
import time
import uuid
from typing import Any

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from transcription.api.errors import INTERNAL_ERROR, RETRY_SECONDS, ErrorBody, error_body, foreign_kind
from transcription.api.middleware.caller import CALLER
from transcription.api.openai import errors as openai_errors
from transcription.api.openai.errors import is_openai
from transcription.telemetry.logs import request_context

REQUEST_ID_HEADER = "X-Request-ID"
SAFE_REQUEST_ID = re.compile(r"[A-Za-z0-9._:/+=-]{1,128}")
SHAPE = frozenset(ErrorBody.model_fields)
REWRITTEN_TYPES = ("application/json", "text/plain")
# Asked every few seconds by whoever supervises us.
PROBE_PATHS = frozenset({"/health", "/health/live", "/health/ready", "/healthz", "/livez", "/readyz", "/metrics"})

log = structlog.get_logger("access")


class EdgeMiddleware:
    """Wraps the whole ASGI application of the service."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request. Nothing escapes: BentoML's time limit would wait for the answer of a crashed request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = choose_request_id(Headers(scope=scope).get(REQUEST_ID_HEADER))
        with request_context(request_id):
            answer = Answer(send, request_id, openai=is_openai(scope["path"]))
            started = time.perf_counter()
            try:
                await self._app(scope, receive, answer.send)
            except Exception:
                log.exception("unexpected_error", endpoint=scope["path"])
                await answer.fail()
            finally:
                _log_access(scope, answer.status, time.perf_counter() - started)


def choose_request_id(given: str | None) -> str:
    """The caller's id if it is safe to log and to echo, else a new one."""
    return given if given and SAFE_REQUEST_ID.fullmatch(given) else str(uuid.uuid4())


class Answer:
    """A response on its way out. Errors that are not in the shape that the caller expects are held back and rewritten.

    openai: the caller expects OpenAI's.
    """

    def __init__(self, send: Send, request_id: str, *, openai: bool = False) -> None:
        self._send = send
        self._request_id = request_id
        self._openai = openai
        self._held: Message | None = None
        self._body = b""
        self._started = False
        self.status = 0

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            await self._start(message)
        elif self._held is not None and message["type"] == "http.response.body":
            self._body += message.get("body", b"")
            if not message.get("more_body"):
                await self._release(self._held)
        else:
            await self._send(message)

    async def fail(self) -> None:
        """Answer a crash, unless the client has seen the beginning of an answer already."""
        if self._started:
            return
        await self._send_error({"type": "http.response.start", "status": INTERNAL_ERROR.status, "headers": []})

    async def _start(self, message: Message) -> None:
        self.status = message["status"]
        MutableHeaders(scope=message)[REQUEST_ID_HEADER] = self._request_id
        media_type = Headers(raw=message["headers"]).get("content-type", "text/plain")
        if self.status >= 400 and media_type.startswith(REWRITTEN_TYPES):
            self._held = message
            return
        self._started = True
        await self._send(message)

    async def _release(self, start: Message) -> None:
        ours = our_shape(self._body)
        if ours is None or self._openai:
            await self._send_error(start, ours)
            return
        self._started = True
        await self._send(start)
        await self._send({"type": "http.response.body", "body": self._body})

    async def _send_error(self, start: Message, ours: dict[str, Any] | None = None) -> None:
        """ours: the error in our shape, if it is in one already."""
        kind = foreign_kind(start["status"])
        status = start["status"] if ours else kind.status
        document = ours or error_body(kind, kind.example).model_dump()
        headers = MutableHeaders(scope=start)
        if self._openai:
            status = openai_errors.status_of(status, document["error"])
            document = openai_errors.document_of(document, status)
            headers.update(openai_errors.headers_of(status))
        body = json.dumps(document).encode()
        self._started, self.status = True, status
        headers[REQUEST_ID_HEADER] = self._request_id
        headers["Content-Type"] = "application/json"
        headers["Content-Length"] = str(len(body))
        if status in (429, 503):
            headers.setdefault("Retry-After", str(RETRY_SECONDS))
        await self._send({**start, "status": status, "headers": headers.raw})
        await self._send({"type": "http.response.body", "body": body})


def our_shape(body: bytes) -> dict[str, Any] | None:
    """An error as transcription/api/errors.py makes them, possibly with more in it; None for anything else."""
    try:
        document = json.loads(body)
    except ValueError:
        return None
    return document if isinstance(document, dict) and set(document) >= SHAPE else None


def _log_access(scope: Scope, status: int, seconds: float) -> None:
    level = log.debug if scope["path"] in PROBE_PATHS and status < 400 else log.info
    level(
        "request",
        endpoint=scope["path"],
        method=scope["method"],
        status_code=status,
        duration_ms=round(seconds * 1000),
        **({"user_id": scope[CALLER].name} if CALLER in scope else {}),
    )
