"""Headers for browsers: content security policies, and the options of CORS."""

from __future__ import annotations

from typing import Any

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from transcription.api.answer import CACHE_STATUS_HEADER
from transcription.api.middleware.rate_limits import LIMIT_HEADER, REMAINING_HEADER, RESET_HEADER
from transcription.api.middleware.request_id import REQUEST_ID_HEADER
from transcription.api.rendered import SUBTITLE_WARNINGS_HEADER
from transcription.api.route_facts import RouteTable
from transcription.core.settings import Settings

HTML = "text/html"
PREFLIGHT_SECONDS = 600
EXPOSED_HEADERS = (
    *(REQUEST_ID_HEADER, "Retry-After", "Location", "ETag", CACHE_STATUS_HEADER),
    *(LIMIT_HEADER, REMAINING_HEADER, RESET_HEADER, SUBTITLE_WARNINGS_HEADER),
)


class SecurityHeadersMiddleware:
    """Adds the headers to every response. Placed outside everything that answers, so that every response has them."""

    def __init__(self, app: ASGIApp, routes: RouteTable) -> None:
        self._app = app
        self._routes = routes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        policy = self._routes.facts(scope).content_security_policy

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                add_headers(MutableHeaders(scope=message), policy)
            await send(message)

        await self._app(scope, receive, send_with_headers)


def add_headers(headers: MutableHeaders, policy: str) -> None:
    """Add the headers of every response, and those of HTML pages. policy: the content security policy of the page."""
    headers["X-Content-Type-Options"] = "nosniff"
    if headers.get("content-type", "").startswith(HTML):
        headers["Content-Security-Policy"] = policy
        headers["X-Frame-Options"] = "DENY"
        headers["Referrer-Policy"] = "no-referrer"


def cors_options(settings: Settings) -> dict[str, Any]:
    """Options of Starlette's CORSMiddleware. Scripts send keys in headers; cookies are never used."""
    return {
        "allow_origins": settings.origins,
        "allow_methods": ["GET", "HEAD", "POST", "PUT", "DELETE"],
        "allow_headers": ["*"],
        "expose_headers": EXPOSED_HEADERS,
        "allow_credentials": False,
        "max_age": PREFLIGHT_SECONDS,
    }
