"""Serves the service under a path prefix of a reverse proxy, such as /speech in https://example.com/speech/ui.

Between the two middlewares, `path` in the ASGI scope is the path of the route, which the others compare. The
applications see it as the ASGI specification says: the whole path, with the prefix as `root_path`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from urllib.parse import urlsplit, urlunsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import RedirectResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from transcription.api.middleware.client_address import Network, is_from_proxy, parse_networks
from transcription.core.setting_rules import ROOT_PATH
from transcription.core.settings import Settings

PREFIX = "transcription.path_prefix"  # key in the ASGI scope
FORWARDED_PREFIX = b"x-forwarded-prefix"
FRONT = "/"
FRONT_PAGE = "/ui"  # where / leads
BENTOML_PAGE = "/bentoml"  # the page that BentoML serves at /; its addresses are relative to the folder, which stays


class PathPrefix:
    """Finds the prefix of a request: X-Forwarded-Prefix from a trusted proxy, otherwise ROOT_PATH."""

    def __init__(self, settings: Settings) -> None:
        self._configured = settings.root_path
        self._proxies = parse_networks(settings.trusted_proxies)

    def split(self, scope: Scope) -> tuple[str, str]:
        """The prefix, "" for none, and the path of the route.

        Proxies may remove the prefix from the path or keep it. The path is "" if it consists of the prefix alone.
        """
        path: str = scope["path"]
        prefix = _forwarded(scope, self._proxies) or self._configured
        is_kept = bool(prefix) and (path == prefix or path.startswith(f"{prefix}/"))
        return prefix, path.removeprefix(prefix) if is_kept else path

    def route_path(self, scope: Scope) -> str:
        """The path of the route."""
        return self.split(scope)[1]


class RemovePrefixMiddleware:
    """Removes the prefix from the path. The outermost middleware."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app = app
        self._prefix = PathPrefix(settings)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] in ("http", "websocket"):
            prefix, path = self._prefix.split(scope)
            scope = {**scope, PREFIX: prefix, "path": path}
        await self._app(scope, receive, send)


class RootPathMiddleware:
    """Tells the applications the prefix, and makes their redirects relative to the host. The innermost middleware.

    It also leads from / to the web page, and serves BentoML's own page, which is there otherwise, at another path.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        prefix: str = scope.get(PREFIX, "")
        if scope["type"] == "websocket":
            scope = {**scope, "root_path": prefix, "path": prefix + scope["path"]}
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if scope["path"] in ("", FRONT) and scope["method"] in ("GET", "HEAD"):
            await RedirectResponse(f"{prefix}{FRONT_PAGE}")(scope, receive, send)
            return
        if scope["path"] in ("", BENTOML_PAGE):
            scope = {**scope, "path": FRONT}
        host = Headers(scope=scope).get("host", "")

        async def send_relative(message: Message) -> None:
            if message["type"] == "http.response.start" and 300 <= message["status"] < 400:
                _make_relative(MutableHeaders(scope=message), host)
            await send(message)

        await self._app({**scope, "root_path": prefix, "path": prefix + scope["path"]}, receive, send_relative)


def _make_relative(headers: MutableHeaders, host: str) -> None:
    """Remove scheme and host from a Location on this host: behind a proxy, clients know it by other ones."""
    location = urlsplit(headers.get("location", ""))
    if location.netloc == host and not location.path.startswith("//"):
        headers["location"] = urlunsplit(("", "", location.path, location.query, location.fragment))


def _forwarded(scope: Scope, proxies: Sequence[Network]) -> str:
    """The prefix that proxies have removed, the outermost first; "" if there is none or it is not a path."""
    if not is_from_proxy(scope, proxies):
        return ""
    values = [value.decode("latin-1") for name, value in scope["headers"] if name == FORWARDED_PREFIX]
    parts = [part.strip().rstrip("/") for value in values for part in value.split(",")]
    # Clients follow the paths in answers: //evil.example would lead them to another host.
    return "".join(parts) if all(re.fullmatch(ROOT_PATH, part) for part in parts) else ""
