"""The application as connections call it: with the peer's own address, and for targets in absolute form, too.

uvicorn 0.54 puts it behind a middleware that believes X-Forwarded-For of this machine. It takes a target that is a
whole URL, as clients send it to proxies and servers must accept it (RFC 9112, 3.2.2), for the path, so that no route is
found.
"""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import unquote

from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

ABSOLUTE_FORM = re.compile(rb"(?:http|ws)s?://(?P<authority>[^/]*)(?P<path>.*)", re.IGNORECASE | re.DOTALL)


def application(loaded: Any) -> Any:
    """The application for a connection. loaded: that of uvicorn's configuration.

    transcription/api/middleware/client_address.py reads X-Forwarded-For, and trusts TRUSTED_PROXIES only.
    """
    bare: Any = loaded.app if isinstance(loaded, ProxyHeadersMiddleware) else loaded
    return OriginForm(bare)


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
