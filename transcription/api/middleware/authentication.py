"""Authentication by API key for every route of the process, BentoML's own included."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.types import ASGIApp, Receive, Scope, Send

from transcription.api.caller import CALLER, Caller
from transcription.api.client_secrets import GRANT, Grant
from transcription.api.middleware.api_keys import KeyRing, open_keys
from transcription.api.middleware.checked import serve_checked
from transcription.api.route_facts import RouteTable
from transcription.core.errors import InvalidApiKey, MissingApiKey, TooManyHeaders
from transcription.core.settings import Settings

KEY_HEADERS = (b"x-api-key", b"api-key")  # ours, and Azure's
AUTHORIZATION = b"authorization"
SCHEMES = (b"bearer ", b"token ")  # the second is Deepgram's
# Browsers cannot set headers of a WebSocket, except its subprotocols; one that starts so has the key. The second is
# OpenAI's. Not in the query: addresses are logged.
KEY_SUBPROTOCOLS = ("api-key.", "openai-insecure-api-key.")
BEFORE_KEY = "token"  # Deepgram's subprotocol, which the key follows
MAX_HEADERS = 100

Headers = list[tuple[bytes, bytes]]


class AuthenticationMiddleware:
    """Refuses requests without a valid key, before their body is read.

    Placed inside RequestIdMiddleware, so that refusals are logged and have request ids, and outside all that does
    work. Construction raises InvalidKeys.
    """

    def __init__(self, app: ASGIApp, settings: Settings, routes: RouteTable) -> None:
        self._app = app
        self._keys = open_keys(settings)
        # Compared with the whole path that is routed: //health and /health/ do not match.
        self._open_paths = routes.open_paths(protect_probes=settings.protect_probes)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] in ("http", "websocket"):
            await serve_checked(self._app, self._check, scope, receive, send)
        else:
            await self._app(scope, receive, send)

    def _check(self, scope: Scope) -> None:
        """Check the key of a request. Raises TooManyHeaders, MissingApiKey, InvalidApiKey."""
        headers = scope["headers"]
        if len(headers) > MAX_HEADERS:
            raise TooManyHeaders(f"The request has {len(headers)} headers; the limit is {MAX_HEADERS}. Send fewer.")
        if self._keys is None or scope["path"] in self._open_paths:
            return
        if grant := scope.get(GRANT):
            scope[CALLER] = grantor(grant, self._keys)
        else:
            scope[CALLER] = identify(headers, self._keys, scope.get("subprotocols", ()))


def grantor(grant: Grant, keys: KeyRing) -> Caller:
    """The owner of the key with which a client secret was made. Raises InvalidApiKey if it is no longer valid."""
    caller = keys.named(grant.caller)
    if caller is None:
        raise InvalidApiKey("The API key of this client secret is no longer valid. Make another secret.")
    return caller


def identify(headers: Headers, keys: KeyRing, subprotocols: Sequence[str] = ()) -> Caller:
    """The owner of the key in the headers, or else in the subprotocols of a WebSocket.

    Raises MissingApiKey, InvalidApiKey.
    """
    given = key_in(headers) or key_in_subprotocols(subprotocols)
    if not given:
        raise MissingApiKey("An API key is required. Send it as X-API-Key: KEY or Authorization: Bearer KEY.")
    caller = keys.find(given)
    if caller is None:
        raise InvalidApiKey("The API key is invalid. Ask the operator of this service for one.")
    return caller


def key_in_subprotocols(subprotocols: Sequence[str]) -> bytes:
    """The key among the subprotocols of a WebSocket, or b"" without one."""
    if len(subprotocols) > 1 and subprotocols[0] == BEFORE_KEY:
        return subprotocols[1].encode()
    for offered in subprotocols:
        for prefix in KEY_SUBPROTOCOLS:
            if offered.startswith(prefix):
                return offered.removeprefix(prefix).encode()
    return b""


def key_in(headers: Headers) -> bytes:
    """The key in a request's headers, or b"" without one. The first X-API-Key or api-key takes precedence.

    headers: with lower-case names, as in an ASGI scope.
    """
    bearer = b""
    for name, value in headers:
        if name in KEY_HEADERS and value:
            return value
        if name == AUTHORIZATION:
            bearer = next((value[len(each) :].strip() for each in SCHEMES if value.lower().startswith(each)), bearer)
    return bearer
