"""WebSockets with the peer's own address, without compression, and with time to finish when the service stops.

uvicorn 0.54 takes the application behind its middleware for proxies, which believes X-Forwarded-For of this machine. It
compresses messages if the client offers it: audio gets no smaller, and every frame costs time. On a stop it closes all
WebSockets at once. BentoML 1.4.39 starts uvicorn and has no setting for these.
"""

from __future__ import annotations

from typing import Any

from uvicorn.config import WS_PROTOCOLS
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware
from uvicorn.protocols.websockets.wsproto_impl import WSProtocol

STOP_SECONDS = 12.0  # for the last texts; then the connection is closed, whatever the application does


class Socket(WSProtocol):
    """The server's side of a WebSocket."""

    def __init__(self, config: Any, *args: Any, **kwargs: Any) -> None:
        """Arguments: those that uvicorn passes to WSProtocol."""
        config.ws_per_message_deflate = False
        super().__init__(config, *args, **kwargs)
        if isinstance(self.app, ProxyHeadersMiddleware):
            self.app = self.app.app

    def shutdown(self) -> None:
        """Close the connection after a while. The application, which knows of the stop, closes it before."""
        self.loop.call_later(STOP_SECONDS, super().shutdown)


def install() -> None:
    """Use Socket in every server that this process starts from now on: the protocol that uvicorn calls "auto"."""
    WS_PROTOCOLS["auto"] = f"{__name__}:{Socket.__name__}"
