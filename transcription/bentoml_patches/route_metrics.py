"""BentoML's own figures of requests, by route and not by path.

BentoML 1.4.39 labels them with the path as it was asked for: a series for every job, and for everything that somebody
tries.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from bentoml._internal.server.http import instruments
from starlette.types import ASGIApp, Receive, Scope, Send

ASKED_FOR = "transcription.path"  # key in an ASGI scope
UNKNOWN = "other"
PARAMETER = re.compile(r"\{[^}]+\}")
BENTOML_ROUTES = (
    "/",
    "/docs.json",
    "/schema.json",
    "/healthz",
    "/livez",
    "/readyz",
    "/metrics",
    "/static_content/{file}",
)


class Endpoints:
    """Which route a path belongs to. routes: such as /status/{job_id}."""

    def __init__(self, routes: Iterable[str]) -> None:
        self._fixed = frozenset(route for route in routes if "{" not in route)
        self._patterns = [(_pattern(route), route) for route in routes if "{" in route]

    def of(self, path: str) -> str:
        """The route, or UNKNOWN."""
        if path in self._fixed:
            return path
        return next((route for pattern, route in self._patterns if pattern.fullmatch(path)), UNKNOWN)


def _pattern(route: str) -> re.Pattern[str]:
    return re.compile("[^/]+".join(map(re.escape, PARAMETER.split(route))))


class RouteMetrics(instruments.RunnerTrafficMetricsMiddleware):
    """BentoML's middleware, which is shown the route, around an application that is shown the path."""

    endpoints = Endpoints(BENTOML_ROUTES)

    def __init__(self, app: ASGIApp, **options: Any) -> None:
        super().__init__(_AskedFor(app), **options)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Serve one request."""
        if scope["type"] == "http":
            scope = {**scope, ASKED_FOR: scope["path"], "path": self.endpoints.of(scope["path"])}
        await super().__call__(scope, receive, send)


class _AskedFor:
    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if ASKED_FOR in scope:
            scope["path"] = scope.pop(ASKED_FOR)
        await self._app(scope, receive, send)


def install(routes: Iterable[str]) -> None:
    """Take the place of BentoML's, in the applications that are made from now on in this process."""
    RouteMetrics.endpoints = Endpoints((*BENTOML_ROUTES, *routes))
    instruments.RunnerTrafficMetricsMiddleware = RouteMetrics  # type: ignore[assignment, misc]
