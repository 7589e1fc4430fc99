"""Refuses what pages of other sites make a visitor's browser send. docs/decisions/0039-foreign-pages.md explains it.

Without API keys, anyone who reaches the port may use the service, and a browser in the same network reaches it for any
page that it shows:

- DNS rebinding: a page's own host name starts to resolve to the address of the service. To the browser, requests to it
  then have the page's own origin, and the page reads the answers. They carry the page's host name.
- Cross-site requests: forms and scripts send requests to any address. They carry the page's origin.
"""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import urlsplit

from starlette.types import ASGIApp, Receive, Scope, Send

from transcription.api.middleware.checked import serve_checked
from transcription.api.middleware.client_address import is_from_proxy, parse_networks
from transcription.api.middleware.hosts import AllowedHosts, Authority
from transcription.api.route_facts import RouteTable
from transcription.core.errors import CrossSiteRequest, HostNotAllowed
from transcription.core.settings import Settings

HOST = b"host"
FORWARDED_HOST = b"x-forwarded-host"
ORIGIN = b"origin"
FETCH_SITE = b"sec-fetch-site"
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
DEFAULT_PORTS = {"http": 80, "https": 443}
EVERY_ORIGIN = "*"
SHOWN_CHARACTERS = 100


class RequestOriginMiddleware:
    """Refuses requests for hosts that are not ours, and changes on behalf of pages of other sites.

    Placed outside everything that answers requests, and inside the middlewares that give every answer its request id,
    its log entry and its shape. It holds with API keys as well: a proxy may add the key to whatever passes it.
    """

    def __init__(self, app: ASGIApp, settings: Settings, routes: RouteTable) -> None:
        self._app = app
        self._routes = routes
        self._hosts = AllowedHosts.parse(settings.allowed_hosts)
        self._origins = frozenset(origin.lower().rstrip("/") for origin in settings.origins)
        self._proxies = parse_networks(settings.trusted_proxies)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] in ("http", "websocket"):
            await serve_checked(self._app, self._check, scope, receive, send)
        else:
            await self._app(scope, receive, send)

    def _check(self, scope: Scope) -> None:
        """Raises HostNotAllowed, CrossSiteRequest."""
        hosts = _values(scope, HOST)
        if is_from_proxy(scope, self._proxies):
            # Both: a proxy may pass on a header that the page has set.
            hosts += [each.strip() for value in _values(scope, FORWARDED_HOST) for each in value.split(",")]
        self._check_hosts(scope, hosts)
        if self._changes_something(scope) and EVERY_ORIGIN not in self._origins:
            self._check_origin(scope, hosts)

    def _check_hosts(self, scope: Scope, hosts: Sequence[str]) -> None:
        if not any(hosts):
            # HTTP/1.0, which load balancers use for their checks; a browser always names the host.
            if not self._is_probe(scope):
                raise HostNotAllowed("The request has no Host header. Send one, as HTTP/1.1 requires.")
            return
        for host in hosts:
            if not self._hosts.allows(host):
                raise HostNotAllowed(
                    f"This service does not answer for the host '{host[:SHOWN_CHARACTERS]}'. Its operator can add the "
                    "name to ALLOWED_HOSTS."
                )

    def _check_origin(self, scope: Scope, hosts: Sequence[str]) -> None:
        """Check who makes the browser send the request. Other clients send neither header."""
        site = {value.lower() for value in _values(scope, FETCH_SITE)}
        if site and site <= {"same-origin", "none"}:
            return  # no script can set this header, and it is right behind a proxy that changes the host, too
        origins = _values(scope, ORIGIN)
        foreign = [origin for origin in origins if not self._is_allowed(origin, hosts)]
        if foreign or (not origins and "cross-site" in site):
            page = f"a page of '{foreign[0][:SHOWN_CHARACTERS]}'" if foreign else "a page of another site"
            raise CrossSiteRequest(
                f"The request comes from {page}, which may not use this service. Its operator can add the page's "
                "origin to CORS_ORIGINS."
            )

    def _is_allowed(self, origin: str, hosts: Sequence[str]) -> bool:
        return origin.lower() in self._origins or is_own(origin, hosts)

    def _changes_something(self, scope: Scope) -> bool:
        if scope["type"] == "websocket" or scope["method"] not in SAFE_METHODS:
            return True
        return self._routes.facts(scope).upload  # GET /transcribe makes work, and jobs

    def _is_probe(self, scope: Scope) -> bool:
        return scope["type"] == "http" and self._routes.facts(scope).probe


def is_own(origin: str, hosts: Sequence[str]) -> bool:
    """Whether an Origin is that of the service itself, which has these values of the Host header.

    The schemes are not compared: behind a proxy with TLS, the service does not know its own.
    """
    try:
        parts = urlsplit(origin)
        default = DEFAULT_PORTS[parts.scheme.lower()]
        page = Authority.parse(parts.netloc)
        return any(Authority.parse(host).is_at(page.host, page.port, default) for host in hosts if host)
    except (ValueError, KeyError):  # "null", an extension of a browser, or not an origin at all
        return False


def _values(scope: Scope, name: bytes) -> list[str]:
    return [value.decode("latin-1") for key, value in scope["headers"] if key == name]
