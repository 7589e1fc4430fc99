"""URL input: from a URL to one file in TEMP_DIR, hashed and limited in size on the way, like an upload."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from http import HTTPStatus
from pathlib import PurePosixPath
from urllib.parse import quote, unquote, urljoin

import httpx
from python_multipart.multipart import parse_options_header

from transcription.core.errors import InvalidParameter, ServiceUnavailable, UnreachableUrl
from transcription.core.settings import Settings
from transcription.media.intake.multipart import header_text
from transcription.media.intake.transfer import Pace, Stalled, TooSlow, declared_size
from transcription.media.intake.upload import Destination, Upload, too_large
from transcription.outbound.address_rules import (
    RECORDING,
    REDIRECT,
    Address,
    AllowList,
    Endpoint,
    Purpose,
    objection,
    parse_url,
)
from transcription.outbound.http_client import Resolver, addresses_of, bare_transport, request_to, resolves_nothing

CONNECT_SECONDS = 10.0  # for all addresses of a host together
MAX_ADDRESSES = 4  # tried per host; a name may have any number
MAX_REDIRECTS = 5
REDIRECTS = frozenset({301, 302, 303, 307, 308})
URL_PUNCTUATION = "-._~:/?#[]@!$&'()*+,;=%"  # RFC 3986, and what is encoded already
GENERIC_TYPES = frozenset({"application/octet-stream", "binary/octet-stream", "application/force-download"})
REMEDY = "Check it, or send the file itself."
LATER = "Try again later, or send the file itself."


def no_limit(_: int) -> None:
    """Accepts any size, for callers without limits."""


class Fetcher:
    """Fetches recordings from URLs that clients send.

    resolve: called once for each host name. tls: as for `bare_transport`.
    """

    def __init__(self, settings: Settings, resolve: Resolver, tls: ssl.SSLContext | None = None) -> None:
        self._settings = settings
        self._allow = AllowList.parse(settings.url_allow)
        self._resolve = resolve
        self._tls = tls

    @asynccontextmanager
    async def fetch(self, url: str, count: Callable[[int], None] = no_limit) -> AsyncIterator[Upload]:
        """The file at a URL, which is deleted when the context ends.

        count: called with the file's declared size in bytes (0 if unknown), and then with the bytes received so far;
        may raise to end the transfer.
        Raises InvalidParameter for a URL that is not allowed, UnreachableUrl, FileTooLarge, InsufficientStorage, and
        ServiceUnavailable while no host can be resolved.
        """
        with Destination(self._settings) as destination:
            async with self._follow(url) as (final, response):
                size = self._checked_size(response)
                count(size)
                await destination.reserve(size)
                received = 0
                async for chunk in self._paced(response):
                    received += len(chunk)
                    count(received)
                    await destination.write(chunk)
            await destination.flush()
            yield destination.upload(*_named(final, response))

    @asynccontextmanager
    async def _follow(self, url: str) -> AsyncIterator[tuple[str, httpx.Response]]:
        """The final URL after redirects, and its response."""
        purpose = RECORDING
        for _ in range(MAX_REDIRECTS + 1):
            async with self._get(parse_url(url, purpose), purpose) as response:
                target = _location(response) if response.status_code in REDIRECTS else ""
                if not target:
                    yield url, response
                    return
                try:
                    url, purpose = urljoin(url, target), REDIRECT
                except ValueError:
                    raise UnreachableUrl(f"The URL redirects to an invalid URL. {REMEDY}") from None
        raise UnreachableUrl(f"The URL redirects more than {MAX_REDIRECTS} times. {REMEDY}")

    @asynccontextmanager
    async def _get(self, endpoint: Endpoint, purpose: Purpose) -> AsyncIterator[httpx.Response]:
        """The response from the first address that accepts a connection, with its body unread."""
        headers = {
            "Accept": "*/*",
            "Accept-Encoding": "identity",
            "User-Agent": f"{self._settings.app_name}/{self._settings.app_version}",
        }
        if endpoint.address or not self._allow.networks:  # decided without resolving the name
            self._check_allowed(endpoint, [endpoint.address] if endpoint.address else [], purpose)
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                addresses = await addresses_of(endpoint, self._resolve)
        except (OSError, UnicodeError) as error:
            if isinstance(error, OSError) and await resolves_nothing(error, self._resolve):
                raise ServiceUnavailable(f"The service can resolve no host at present. {LATER}") from None
            raise UnreachableUrl(f"The URL's host '{endpoint.host[:80]}' cannot be resolved. {REMEDY}") from None
        self._check_allowed(endpoint, addresses, purpose)
        async with bare_transport(self._tls) as transport:
            response, why = None, ""
            tried = addresses[:MAX_ADDRESSES]
            for address in tried:
                request = request_to(endpoint, address, "GET", headers)
                request.extensions["timeout"] = {"connect": CONNECT_SECONDS / len(tried)}
                try:
                    response = await self._first_bytes(transport, request)
                    break
                except (httpx.ConnectError, httpx.ConnectTimeout) as error:
                    why = str(error)  # includes certificate errors
            if response is None:
                raise UnreachableUrl(f"The URL's host '{endpoint.host[:80]}' cannot be connected to. {REMEDY}", why)
            async with contextlib.aclosing(response):
                yield response

    def _check_allowed(self, endpoint: Endpoint, addresses: Sequence[Address], purpose: Purpose) -> None:
        """Raise InvalidParameter unless the rules allow a connection to all of these addresses."""
        if reason := objection(endpoint, addresses, self._allow, purpose):
            raise InvalidParameter(f"{purpose.parameter} is refused. {reason}")

    async def _first_bytes(self, transport: httpx.AsyncHTTPTransport, request: httpx.Request) -> httpx.Response:
        try:
            async with asyncio.timeout(self._settings.upload_timeout + CONNECT_SECONDS):
                return await transport.handle_async_request(request)
        except TimeoutError:
            raise UnreachableUrl(
                f"The URL's host did not respond within {self._settings.upload_timeout} s. {REMEDY}"
            ) from None
        except (httpx.ConnectError, httpx.ConnectTimeout):
            raise
        except httpx.TransportError as error:
            raise UnreachableUrl(
                f"The URL's host closed the connection early. {REMEDY}", type(error).__name__
            ) from None

    def _checked_size(self, response: httpx.Response) -> int:
        """The declared size in bytes, 0 if unknown. Raises UnreachableUrl for an unusable response, FileTooLarge."""
        if response.status_code != HTTPStatus.OK:
            raise UnreachableUrl(f"The URL answers {response.status_code}. {REMEDY}")
        encoding = response.headers.get("content-encoding", "identity").strip().lower()
        if encoding != "identity":
            raise UnreachableUrl(
                f"The URL's host sends the file compressed ('{encoding[:40]}'), which was not requested. {REMEDY}"
            )
        size = declared_size(response.headers) or 0
        if size > self._settings.max_file_size:
            raise too_large(self._settings)
        return size

    async def _paced(self, response: httpx.Response) -> AsyncIterator[bytes]:
        """The body. Raises UnreachableUrl if it stalls, is too slow or breaks off."""
        pace = Pace(self._settings.upload_timeout, self._settings.min_upload_rate)
        chunks = response.aiter_raw()
        try:
            while (chunk := await pace.wait_for(anext(chunks, None))) is not None:
                pace.count(len(chunk))
                yield chunk
        except Stalled:
            raise UnreachableUrl(f"The URL's host sent no data for {pace.timeout:g} s. {REMEDY}") from None
        except TooSlow:
            raise UnreachableUrl(f"The URL's host sends fewer than {pace.rate} bytes per second. {REMEDY}") from None
        except httpx.TransportError as error:
            raise UnreachableUrl(
                f"The URL's host closed the connection early. {REMEDY}", type(error).__name__
            ) from None


def _location(response: httpx.Response) -> str:
    """Where a response redirects to; "" if it does not say. As browsers do, with what is no part of a URL encoded."""
    return quote(_sent(response, b"location"), safe=URL_PUNCTUATION)


def _sent(response: httpx.Response, header: bytes) -> bytes:
    """The bytes of a header, b"" if it is missing. httpx guesses their encoding. header: in lower case."""
    return next((value for name, value in response.headers.raw if name.lower() == header), b"")


def _named(url: str, response: httpx.Response) -> tuple[str, str]:
    """The file's name and media type, from the response and the URL; the type is empty if it is a generic one."""
    # The parser accepts only characters of ISO 8859-1.
    _, options = parse_options_header(_sent(response, b"content-disposition").decode("latin-1"))
    path = unquote(url.partition("?")[0].partition("#")[0])
    name = options.get(b"filename", b"") or PurePosixPath(path).name.encode()
    declared = response.headers.get("content-type", "")
    generic = declared.partition(";")[0].strip().lower() in GENERIC_TYPES
    return header_text(name), "" if generic else header_text(declared.encode())
