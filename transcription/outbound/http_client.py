"""HTTP to hosts that clients choose: a name is resolved once, and the connection goes to a checked address."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from functools import cache

import httpx

from transcription.outbound.address_rules import Address, Endpoint

RESOLVER_THREADS = 64  # started when needed; a name server that hangs holds each for some ten seconds
# RFC 6761, 6.4: there is none, and name servers say so. A caching one on this machine does even if those behind it are
# silent; then the host is blamed.
NO_HOST = "host.invalid."
NO_HOST_SECONDS = 11.0  # glibc asks two servers for 5 s each

Resolver = Callable[[str, int], Awaitable[Sequence[Address]]]


class SystemResolver:
    """The system's resolver, in its own threads, so that a hanging name server blocks none of the event loop's."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(RESOLVER_THREADS, "resolve")

    async def __call__(self, host: str, port: int) -> Sequence[Address]:
        """All addresses of a host. Raises OSError."""
        loop = asyncio.get_running_loop()
        found = await loop.run_in_executor(
            self._threads, lambda: socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        )
        return [ipaddress.ip_address(item[4][0]) for item in found]


async def addresses_of(endpoint: Endpoint, resolve: Resolver) -> Sequence[Address]:
    """The addresses of a host without duplicates. Raises OSError if it has none, UnicodeError for an invalid name."""
    if endpoint.address is not None:
        return [endpoint.address]
    addresses = list(dict.fromkeys(await resolve(endpoint.host, endpoint.port)))
    if not addresses:
        raise OSError("the host has no address")
    return addresses


async def resolves_nothing(failure: OSError, resolve: Resolver) -> bool:
    """Whether no host can be resolved at present. failure: of one, perhaps only of its own name servers."""
    if not _is_temporary(failure):
        return False
    try:
        async with asyncio.timeout(NO_HOST_SECONDS):
            await resolve(NO_HOST, 443)
    except OSError as error:
        return _is_temporary(error)
    return False


def request_to(
    endpoint: Endpoint, address: Address, method: str, headers: dict[str, str], body: bytes | None = None
) -> httpx.Request:
    """A request to one address of the endpoint, with the endpoint's name in the Host header, and in SNI over TLS."""
    return httpx.Request(
        method,
        httpx.URL(scheme=endpoint.scheme, host=str(address), port=endpoint.port, raw_path=endpoint.target.encode()),
        headers={**headers, "Host": endpoint.authority, "Connection": "close"},
        content=body,
        extensions={} if endpoint.address else {"sni_hostname": endpoint.host},
    )


@asynccontextmanager
async def bare_transport(tls: ssl.SSLContext | None) -> AsyncIterator[httpx.AsyncHTTPTransport]:
    """A transport for one request: without redirects, cookies, proxies or .netrc, and without connection reuse.

    tls: the context that certificates are verified with, None for `trusted_authorities`.
    """
    if tls is None:  # in a thread, and at the first request instead of the start: it takes 50 ms
        tls = await asyncio.to_thread(trusted_authorities)
    async with httpx.AsyncHTTPTransport(verify=tls, trust_env=False) as transport:
        yield transport


@cache
def trusted_authorities() -> ssl.SSLContext:
    """The process's TLS context with Mozilla's authorities and the system's, to which operators can add their own."""
    context = httpx.create_ssl_context(trust_env=False)
    context.load_default_certs()
    return context


def _is_temporary(failure: OSError) -> bool:
    return isinstance(failure, TimeoutError) or failure.errno == socket.EAI_AGAIN
