"""Client secrets, which browsers send among the subprotocols of a WebSocket, and other programs in its headers."""

from __future__ import annotations

from starlette.types import ASGIApp, Receive, Scope, Send

from transcription.api.client_secrets import GRANT, ClientSecrets, is_client_secret
from transcription.api.middleware.authentication import key_in
from transcription.api.middleware.checked import serve_checked
from transcription.core.errors import InvalidApiKey

SUBPROTOCOL = "openai-insecure-api-key."  # OpenAI's; a secret or a key follows
ROUTE = "/v1/realtime"  # what a secret is for; the end of the path


class ClientSecretMiddleware:
    """Puts what a client secret allows into the scope, as GRANT.

    A secret is a key of WS /v1/realtime, and of nothing else. Placed outside AuthenticationMiddleware, which finds
    whose key the secret was made with.
    """

    def __init__(self, app: ASGIApp, secrets: ClientSecrets) -> None:
        self._app = app
        self._secrets = secrets

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] == "websocket":
            await serve_checked(self._app, self._check, scope, receive, send)
        else:
            await self._app(scope, receive, send)

    def _check(self, scope: Scope) -> None:
        """Raises InvalidApiKey."""
        secret = secret_in(scope)
        if not secret:
            return
        if not scope["path"].endswith(ROUTE):
            raise InvalidApiKey(f"A client secret is valid for {ROUTE} alone. Use an API key.")
        scope[GRANT] = self._secrets.check(secret)


def secret_in(scope: Scope) -> str:
    """The client secret with which a WebSocket is opened, or "" without one.

    One in the subprotocols takes precedence: a proxy on the way may add headers of its own.
    """
    offered = (each.removeprefix(SUBPROTOCOL) for each in scope.get("subprotocols", ()) if each.startswith(SUBPROTOCOL))
    given = (*offered, key_in(scope["headers"]).decode("latin-1"))
    return next(filter(is_client_secret, given), "")
