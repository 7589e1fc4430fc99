"""BentoML's request metrics, labelled with the route instead of the path.

BentoML 1.4.39 uses the requested path as a label, which makes a time series for each job id and for each path that a
scanner tries. Its middleware has no setting for this.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any

from bentoml._internal.server.http import instruments
from starlette.types import ASGIApp, Receive, Scope, Send

REQUESTED_PATH = "transcription.path"  # key in an ASGI scope
UNKNOWN = "other"  # label of paths that match no route
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


class RouteTable:
    """Maps paths to routes. routes: templates such as /status/{job_id}."""

    def __init__(self, routes: Iterable[str]) -> None:
        routes = tuple(routes)
        self._fixed = frozenset(route for route in routes if "{" not in route)
        self._patterns = [(_pattern(route), route) for route in routes if "{" in route]

    def route_of(self, path: str) -> str:
        """The route that the path belongs to, or UNKNOWN."""
        if path in self._fixed:
            return path
        return next((route for pattern, route in self._patterns if pattern.fullmatch(path)), UNKNOWN)


def _pattern(route: str) -> re.Pattern[str]:
    return re.compile("[^/]+".join(map(re.escape, PARAMETER.split(route))))


def path_of(scope: Scope) -> str:
    """The path of a request."""
    path: str = scope["path"]
    return path


class RouteMetrics(instruments.RunnerTrafficMetricsMiddleware):
    """BentoML's middleware, which sees the route as the path; the application inside it sees the path itself."""

    routes = RouteTable(BENTOML_ROUTES)
    route_path: Callable[[Scope], str] = staticmethod(path_of)

    def __init__(self, app: ASGIApp, **options: Any) -> None:
        super().__init__(RestorePath(app), **options)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Serve one request."""
        if scope["type"] == "http":
            scope = {**scope, REQUESTED_PATH: scope["path"], "path": self.routes.route_of(self.route_path(scope))}
        await super().__call__(scope, receive, send)


class RestorePath:
    """Restores the requested path for the application."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if REQUESTED_PATH in scope:
            scope["path"] = scope.pop(REQUESTED_PATH)
        await self._app(scope, receive, send)


def install(routes: Iterable[str], route_path: Callable[[Scope], str] = path_of) -> None:
    """Replace BentoML's middleware in the applications that this process builds from now on.

    routes: the application's, besides those of BentoML itself.
    route_path: the path of a request without the prefix that a proxy adds.
    """
    RouteMetrics.routes = RouteTable((*BENTOML_ROUTES, *routes))
    RouteMetrics.route_path = staticmethod(route_path)
    instruments.RunnerTrafficMetricsMiddleware = RouteMetrics  # type: ignore[assignment, misc]
