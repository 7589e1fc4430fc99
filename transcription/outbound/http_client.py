"""HTTP to hosts that a client names: a name is resolved once, and the connection goes to a checked address."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import ssl
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import httpx

from transcription.outbound.address_rules import Address, Endpoint

RESOLVER_THREADS = 8

Resolver = Callable[[str, int], Awaitable[Sequence[Address]]]


class SystemResolver:
    """Asks the system, in threads of its own: a name server that hangs must not use up those of the event loop."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(RESOLVER_THREADS, "resolve")

    async def __call__(self, host: str, port: int) -> Sequence[Address]:
        """Every address of a host. Raises OSError."""
        loop = asyncio.get_running_loop()
        found = await loop.run_in_executor(
            self._threads, lambda: socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        )
        return [ipaddress.ip_address(item[4][0]) for item in found]


async def addresses_of(endpoint: Endpoint, resolve: Resolver) -> Sequence[Address]:
    """Each address once. Raises OSError when there is none, UnicodeError for a name that cannot be one."""
    if endpoint.address is not None:
        return [endpoint.address]
    addresses = list(dict.fromkeys(await resolve(endpoint.host, endpoint.port)))
    if not addresses:
        raise OSError("it has no address")
    return addresses


def request_to(
    endpoint: Endpoint, address: Address, method: str, headers: dict[str, str], body: bytes | None = None
) -> httpx.Request:
    """A request to one address of the endpoint, which is meant for its name: by Host, and by SNI over TLS."""
    return httpx.Request(
        method,
        httpx.URL(scheme=endpoint.scheme, host=str(address), port=endpoint.port, raw_path=endpoint.target.encode()),
        headers={**headers, "Host": endpoint.authority, "Connection": "close"},
        content=body,
        extensions={} if endpoint.address else {"sni_hostname": endpoint.host},
    )


def bare_transport(tls: ssl.SSLContext) -> httpx.AsyncHTTPTransport:
    """For one request: no redirects, cookies, proxies or .netrc, and no connection of another name."""
    return httpx.AsyncHTTPTransport(verify=tls, trust_env=False)


def trusted_authorities() -> ssl.SSLContext:
    """The system's, to which operators add their own, and Mozilla's, where the system has none."""
    context = httpx.create_ssl_context(trust_env=False)
    context.load_default_certs()
    return context
