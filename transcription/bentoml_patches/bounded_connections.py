"""What the HTTP server below us leaves open: clients that never finish a request's head, or say that they are others.

uvicorn waits for the first head, and for the rest of a body that was refused, as long as the client likes. And it takes
a client's address from X-Forwarded-For when the peer is this machine, or one in FORWARDED_ALLOW_IPS.
"""

from __future__ import annotations

import asyncio
from typing import Any

import h11
from uvicorn.config import HTTP_PROTOCOLS
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware
from uvicorn.protocols.http.h11_impl import H11Protocol

HEAD_TIMEOUT = 10.0  # seconds


class BoundedProtocol(H11Protocol):
    """Closes connections on which nothing is being served.

    A request's head must be there within HEAD_TIMEOUT, and so must the rest of a body that nobody reads any more.
    """

    head_timeout = HEAD_TIMEOUT
    _deadline: asyncio.TimerHandle | None = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """As uvicorn calls it."""
        super().__init__(*args, **kwargs)
        if isinstance(self.app, ProxyHeadersMiddleware):
            self.app = (
                self.app.app
            )  # the peer stays the peer: transcription/api/middleware/client_address.py asks TRUSTED_PROXIES alone

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A client is there."""
        super().connection_made(transport)
        self._watch()

    def data_received(self, data: bytes) -> None:
        """Bytes came."""
        super().data_received(data)
        self._watch()

    def on_response_complete(self) -> None:
        """A request was answered, perhaps before its body had come."""
        super().on_response_complete()
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        """The client is gone."""
        self._unwatch()
        super().connection_lost(exc)

    def _watch(self) -> None:
        serving = self.conn.our_state not in (h11.IDLE, h11.DONE)
        silent = self.timeout_keep_alive_task is not None  # between two requests; uvicorn closes those itself
        if serving or silent or self.transport.is_closing():
            self._unwatch()
        elif self._deadline is None:
            self._deadline = self.loop.call_later(self.head_timeout, self.transport.close)

    def _unwatch(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None


def bound_connections() -> None:
    """Let every server of this process use BoundedProtocol. Before the server starts.

    BentoML starts uvicorn and passes no protocol of ours on; it takes the one named "auto".
    """
    HTTP_PROTOCOLS["auto"] = f"{__name__}:{BoundedProtocol.__name__}"
