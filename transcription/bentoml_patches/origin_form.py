"""Requests whose target is a whole URL, as clients send them to proxies; servers must take them: RFC 9112, 3.2.2.

uvicorn 0.54 takes the whole URL for the path, so that no route is found.
"""

from __future__ import annotations

import re
from urllib.parse import unquote

from starlette.types import ASGIApp, Receive, Scope, Send

ABSOLUTE_FORM = re.compile(rb"(?:http|ws)s?://(?P<authority>[^/]*)(?P<path>.*)", re.IGNORECASE | re.DOTALL)


class OriginForm:
    """Gives the application the path, and the URL's host in place of the Host header, which is to be ignored then."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] in ("http", "websocket") and (match := ABSOLUTE_FORM.fullmatch(scope["raw_path"])):
            path = match["path"] or b"/"
            headers = [header for header in scope["headers"] if header[0] != b"host"]
            scope["headers"] = [(b"host", match["authority"]), *headers]
            scope["raw_path"], scope["path"] = path, unquote(path.decode("ascii"))
        await self._app(scope, receive, send)
