"""Refuses requests while the process has more connections than its descriptors allow. Probes are answered."""

from __future__ import annotations

from starlette.types import ASGIApp, Receive, Scope, Send

from transcription.api.errors import error_response
from transcription.api.route_facts import RouteTable
from transcription.core.errors import ServiceUnavailable

# As transcription/bentoml_patches/bounded_connections.py sets it in the state of the scope.
CROWDED = "transcription.crowded"
RETRY_SECONDS = 5.0


class CrowdMiddleware:
    """Answers 503 to requests on connections beyond the limit, and closes these connections."""

    def __init__(self, app: ASGIApp, routes: RouteTable) -> None:
        self._app = app
        self._routes = routes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        crowded = scope["type"] == "http" and scope.get("state", {}).get(CROWDED)
        if not crowded or self._routes.facts(scope).probe:
            await self._app(scope, receive, send)
            return
        error = ServiceUnavailable("Too many connections are open. Try again in a moment.", retry_after=RETRY_SECONDS)
        response = error_response(error)
        response.headers["Connection"] = "close"
        await response(scope, receive, send)
