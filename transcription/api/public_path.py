"""The paths in answers, as clients reach them."""

from __future__ import annotations

from starlette.requests import Request


def public_path(request: Request, path: str) -> str:
    """The path under which clients reach a route. path: that of the route."""
    prefix: str = request.scope.get("root_path", "")
    return prefix + path
