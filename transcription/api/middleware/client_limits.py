"""Enforces the limits of each client: requests per minute, concurrent uploads, bytes in progress, event streams."""

from __future__ import annotations

from contextlib import ExitStack

from limits import RateLimitItemPerMinute
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from transcription.api.caller import CALLER, CLIENT, COUNT_BYTES, Caller
from transcription.api.errors import error_response
from transcription.api.middleware.client_address import client_of, parse_networks
from transcription.api.middleware.concurrent_streams import ConcurrentStreams
from transcription.api.middleware.concurrent_uploads import ConcurrentUploads, CountedUpload
from transcription.api.middleware.rate_limits import RateLimits, RateLimitStatus
from transcription.api.route_facts import RouteTable
from transcription.core.errors import RateLimitExceeded, TooManyStreams, TooManyUploads
from transcription.core.settings import Settings
from transcription.media.intake.transfer import declared_size


class ClientLimitsMiddleware:
    """Refuses requests beyond the limits of their client, before their body is read.

    A client is an API key or, without one, an address. Placed inside AuthenticationMiddleware, which finds the key.
    """

    def __init__(self, app: ASGIApp, settings: Settings, routes: RouteTable) -> None:
        self._app = app
        self._settings = settings
        self._routes = routes
        self._trusted = parse_networks(settings.trusted_proxies)
        self._rates = RateLimits(settings.limits_redis_url)
        self._uploads = ConcurrentUploads(settings.max_client_uploads, settings.max_client_bytes)
        self._streams = ConcurrentStreams(settings.max_client_streams)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] not in ("http", "websocket") or (facts := self._routes.facts(scope)).probe:
            await self._app(scope, receive, send)
            return
        key: Caller | None = scope.get(CALLER)
        client = f"key:{key.name}" if key else client_of(scope, self._trusted)
        scope[CLIENT] = client
        kind, per_minute = self._limit(key, upload=facts.upload)
        status = await self._rates.count(kind, client, RateLimitItemPerMinute(per_minute))
        if status:
            send = _add_headers(send, status)
            if not status.allowed:
                await error_response(rate_limit_exceeded(status, upload=facts.upload))(scope, receive, send)
                return
        if scope["type"] == "websocket":
            await self._app(scope, receive, send)  # transcription/live/sessions.py counts those that are open
        elif facts.upload:
            await self._serve_upload(client, scope, receive, send)
        elif facts.stream:
            await self._serve_stream(client, scope, receive, send)
        else:
            await self._app(scope, receive, send)

    async def _serve_upload(self, client: str, scope: Scope, receive: Receive, send: Send) -> None:
        with ExitStack() as stack:
            try:
                declared = declared_size(Headers(scope=scope)) or 0
                upload = stack.enter_context(self._uploads.upload(client, declared))
            except TooManyUploads as error:
                await error_response(error)(scope, receive, send)
                return
            scope[COUNT_BYTES] = upload.grow_to
            await self._app(scope, _count_bytes(receive, upload), send)

    async def _serve_stream(self, client: str, scope: Scope, receive: Receive, send: Send) -> None:
        with ExitStack() as stack:
            try:
                stack.enter_context(self._streams.stream(client))
            except TooManyStreams as error:
                await error_response(error)(scope, receive, send)
                return
            await self._app(scope, receive, send)

    def _limit(self, key: Caller | None, *, upload: bool) -> tuple[str, int]:
        """The limit's name, and its requests per minute."""
        if upload:
            return "uploads", (key and key.uploads_per_minute) or self._settings.rate_limit_per_minute
        return "reads", (key and key.reads_per_minute) or self._settings.rate_limit_reads_per_minute


def rate_limit_exceeded(status: RateLimitStatus, *, upload: bool) -> RateLimitExceeded:
    """The error for a request beyond the limit."""
    return RateLimitExceeded(
        f"More than {status.limit} {'uploads' if upload else 'requests'} per minute. Try again in {status.reset} s.",
        retry_after=status.reset,
    )


def _count_bytes(receive: Receive, upload: CountedUpload) -> Receive:
    received = 0

    async def receive_counted() -> Message:
        nonlocal received
        message = await receive()
        received += len(message.get("body", b""))
        upload.grow_to(received)
        return message

    return receive_counted


def _add_headers(send: Send, status: RateLimitStatus) -> Send:
    async def send_with_headers(message: Message) -> None:
        if message["type"] == "http.response.start":
            MutableHeaders(scope=message).update(status.headers)
        await send(message)

    return send_with_headers
