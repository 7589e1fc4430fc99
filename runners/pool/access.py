"""Who may talk to a runner that is deployed alone."""

from __future__ import annotations

import hmac
from collections.abc import Callable
from ipaddress import ip_address

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from runners.pool.messages import PREFIX

OPEN_PATHS = ("/livez", "/readyz", "/healthz", "/metrics")  # for the platform and for Prometheus; they tell no secret
FORWARDED = ("x-forwarded-for", "forwarded")
SCHEME = "Bearer "


def is_allowed(token: str, authorization: str, peer: str | None, *, forwarded: bool) -> bool:
    """Whether a request may pass.

    token: RUNNER_TOKEN. authorization: the header. peer: the address it came from, None for a Unix socket.
    forwarded: whether a proxy sent it on, so that `peer` may be the proxy's own.
    """
    if peer is None:
        return True
    if token:
        return hmac.compare_digest(authorization.encode(), f"{SCHEME}{token}".encode())
    return not forwarded and _is_loopback(peer)


class RunnerAccess:
    """Answers 401 without the token; and 404 over TCP for everything but the wire, the probes and the metrics.

    token: RUNNER_TOKEN; without one, only this machine may ask. is_alone: whether this process serves the runner as its
    own deployment, and not as a dependency, whose calls come over BentoML's own connection.
    """

    def __init__(self, app: ASGIApp, token: str, is_alone: Callable[[], bool]) -> None:
        self._app = app
        self._token = token
        self._is_alone = is_alone

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] == "lifespan" or scope.get("path") in OPEN_PATHS or not self._is_alone():
            await self._app(scope, receive, send)
            return
        headers, client = Headers(scope=scope), scope.get("client")
        peer = client[0] if client and client[0] else None
        forwarded = any(name in headers for name in FORWARDED)
        if not is_allowed(self._token, headers.get("authorization", ""), peer, forwarded=forwarded):
            refusal = PlainTextResponse("Set RUNNER_TOKEN to the same value here and there.\n", 401)
            await refusal(scope, receive, send)
        elif peer is not None and not scope["path"].startswith(f"{PREFIX}/"):
            # BentoML's own calls among them: they would accept bodies of any size.
            await PlainTextResponse("Not found.\n", 404)(scope, receive, send)
        else:
            await self._app(scope, receive, send)


def _is_loopback(peer: str) -> bool:
    try:
        return ip_address(peer).is_loopback
    except ValueError:
        return False
