"""Headers for browsers: what pages may do, and which pages of others may call."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from transcription.core.settings import Settings

HTML = "text/html"
# BentoML's page at / would load a tracker from elsewhere; this policy keeps it out.
POLICY = {
    "default-src": "'self'",
    "script-src": "'self'",
    "style-src": "'self' 'unsafe-inline'",  # Swagger UI sets styles
    "img-src": "'self' data:",
    "object-src": "'none'",
    "base-uri": "'none'",
    "form-action": "'self'",
    "frame-ancestors": "'none'",
}
PAGE_POLICY = {
    "default-src": "'none'",
    "script-src": "'self'",
    "style-src": "'self'",
    "img-src": "'self'",
    "connect-src": "'self'",
    "media-src": "blob:",
    "base-uri": "'none'",
    "form-action": "'none'",
    "frame-ancestors": "'none'",
}
CONTENT_NETWORK = "https://cdn.jsdelivr.net"  # has ReDoc's script
POLICIES = {
    "/docs": POLICY | {"script-src": "'self' 'unsafe-inline'"},  # FastAPI's page starts itself in the page
    "/ui": PAGE_POLICY,
    "/redoc": POLICY | {"script-src": f"'self' {CONTENT_NETWORK}", "worker-src": "blob:"},
}
PREFLIGHT_SECONDS = 600
EXPOSED = (
    "X-Request-ID",
    "Retry-After",
    "Location",
    "Cache-Status",
    "RateLimit-Limit",
    "RateLimit-Remaining",
    "RateLimit-Reset",
    "X-Subtitle-Warnings",
)


def as_header(policy: Mapping[str, str]) -> str:
    """A content security policy as its header has it."""
    return "; ".join(f"{name} {sources}" for name, sources in policy.items())


DEFAULT_POLICY = as_header(POLICY)
POLICY_HEADERS = {path: as_header(policy) for path, policy in POLICIES.items()}


class SecurityHeadersMiddleware:
    """Adds the headers to every answer. Outermost, so that no answer is without them."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                add_headers(MutableHeaders(scope=message), scope["path"])
            await send(message)

        await self._app(scope, receive, send_with_headers)


def add_headers(headers: MutableHeaders, path: str) -> None:
    """Add what every answer needs, and what a page needs."""
    headers["X-Content-Type-Options"] = "nosniff"
    if headers.get("content-type", "").startswith(HTML):
        headers["Content-Security-Policy"] = POLICY_HEADERS.get(path, DEFAULT_POLICY)
        headers["X-Frame-Options"] = "DENY"
        headers["Referrer-Policy"] = "no-referrer"


def cors_options(settings: Settings) -> dict[str, Any]:
    """What Starlette's CORSMiddleware is given. Keys are sent by scripts; cookies are never used."""
    return {
        "allow_origins": settings.origins,
        "allow_methods": ["GET", "POST", "PUT", "DELETE"],
        "allow_headers": ["*"],
        "expose_headers": EXPOSED,
        "allow_credentials": False,
        "max_age": PREFLIGHT_SECONDS,
    }
