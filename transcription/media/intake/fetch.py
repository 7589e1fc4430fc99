"""A file is fetched: from a URL to one file under TEMP_DIR, hashed and bounded on the way as an upload is."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from http import HTTPStatus
from pathlib import PurePosixPath
from urllib.parse import unquote, urljoin

import httpx
from python_multipart.multipart import parse_options_header

from transcription.core.errors import InvalidParameter, UnreachableUrl
from transcription.core.settings import Settings
from transcription.media.intake.multipart import header_text
from transcription.media.intake.transfer import Pace, Stalled, TooSlow, declared_size
from transcription.media.intake.upload import Destination, Upload, too_large
from transcription.outbound.address_rules import RECORDING, Address, AllowList, Endpoint, objection, parse_url
from transcription.outbound.http_client import Resolver, addresses_of, bare_transport, request_to

CONNECT_SECONDS = 10.0  # that the addresses of a host share
MOST_ADDRESSES = 4  # of a host that are tried; whoever owns its name may list any number
MOST_REDIRECTS = 5
REDIRECTS = frozenset({301, 302, 303, 307, 308})
GENERIC_TYPES = frozenset({"application/octet-stream", "binary/octet-stream", "application/force-download"})
INSTEAD = "Check it, or send the file itself."


def nobody_counts(_: int) -> None:
    """For callers without limits."""


class Fetcher:
    """Reads recordings from where callers say.

    resolve: called once for each host that is a name. tls: what certificates are checked with.
    """

    def __init__(self, settings: Settings, resolve: Resolver, tls: ssl.SSLContext) -> None:
        self._settings = settings
        self._allow = AllowList.parse(settings.url_allow)
        self._resolve = resolve
        self._tls = tls

    @asynccontextmanager
    async def fetch(self, url: str, count: Callable[[int], None] = nobody_counts) -> AsyncIterator[Upload]:
        """The file at a URL, which is deleted when the context ends.

        count: is told of the file's bytes, as declared and then as many as came so far; may raise to end it.
        Raises InvalidParameter for a URL that nothing is fetched from, UnreachableUrl, FileTooLarge.
        """
        with Destination(self._settings) as destination:
            async with self._answer(url) as (final, response):
                count(self._checked_size(response))
                received = 0
                async for chunk in self._paced(response):
                    received += len(chunk)
                    count(received)
                    await destination.write(chunk)
            await destination.flush()
            yield destination.upload(*_named(final, response))

    @asynccontextmanager
    async def _answer(self, url: str) -> AsyncIterator[tuple[str, httpx.Response]]:
        """Where redirects led, and what is there."""
        for _ in range(MOST_REDIRECTS + 1):
            async with self._ask(parse_url(url, RECORDING)) as response:
                target = response.headers.get("location", "") if response.status_code in REDIRECTS else ""
                if not target:
                    yield url, response
                    return
                try:
                    url = urljoin(url, target)
                except ValueError:
                    raise UnreachableUrl(f"The URL redirects to what is no URL. {INSTEAD}") from None
        raise UnreachableUrl(f"The URL redirects more than {MOST_REDIRECTS} times. {INSTEAD}")

    @asynccontextmanager
    async def _ask(self, endpoint: Endpoint) -> AsyncIterator[httpx.Response]:
        """The answer of the first address that can be connected to, its body unread."""
        headers = {
            "Accept": "*/*",
            "Accept-Encoding": "identity",
            "User-Agent": f"{self._settings.app_name}/{self._settings.app_version}",
        }
        if endpoint.address or not self._allow.networks:  # can be told without asking for the name
            self._object(endpoint, [endpoint.address] if endpoint.address else [])
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                addresses = await addresses_of(endpoint, self._resolve)
        except (OSError, UnicodeError, TimeoutError):
            raise UnreachableUrl(f"The URL's host '{endpoint.host[:80]}' cannot be resolved. {INSTEAD}") from None
        self._object(endpoint, addresses)
        async with bare_transport(self._tls) as transport:
            response, why = None, ""
            tried = addresses[:MOST_ADDRESSES]
            for address in tried:
                request = request_to(endpoint, address, "GET", headers)
                request.extensions["timeout"] = {"connect": CONNECT_SECONDS / len(tried)}
                try:
                    response = await self._first_bytes(transport, request)
                    break
                except (httpx.ConnectError, httpx.ConnectTimeout) as error:
                    why = str(error)  # also that the certificate is not that of the host
            if response is None:
                raise UnreachableUrl(f"The URL's host '{endpoint.host[:80]}' cannot be connected to. {INSTEAD}", why)
            async with contextlib.aclosing(response):
                yield response

    def _object(self, endpoint: Endpoint, addresses: Sequence[Address]) -> None:
        """Raises InvalidParameter when nothing may be fetched from there."""
        if reason := objection(endpoint, addresses, self._allow, RECORDING):
            raise InvalidParameter(f"url is refused. {reason}")

    async def _first_bytes(self, transport: httpx.AsyncHTTPTransport, request: httpx.Request) -> httpx.Response:
        try:
            async with asyncio.timeout(self._settings.upload_timeout + CONNECT_SECONDS):
                return await transport.handle_async_request(request)
        except TimeoutError:
            raise UnreachableUrl(
                f"The URL's host gave no answer within {self._settings.upload_timeout} s. {INSTEAD}"
            ) from None
        except (httpx.ConnectError, httpx.ConnectTimeout):
            raise
        except httpx.TransportError as error:
            raise UnreachableUrl(f"The URL's host breaks off. {INSTEAD}", type(error).__name__) from None

    def _checked_size(self, response: httpx.Response) -> int:
        """Bytes as declared, 0 when they are not. Raises UnreachableUrl, FileTooLarge."""
        if response.status_code != HTTPStatus.OK:
            raise UnreachableUrl(f"The URL answers {response.status_code}. {INSTEAD}")
        encoding = response.headers.get("content-encoding", "identity").strip().lower()
        if encoding != "identity":
            raise UnreachableUrl(f"The URL's host sends the file packed ('{encoding[:40]}'), unasked. {INSTEAD}")
        size = declared_size(response.headers) or 0
        if size > self._settings.max_file_size:
            raise too_large(self._settings)
        return size

    async def _paced(self, response: httpx.Response) -> AsyncIterator[bytes]:
        """The body, as long as it keeps coming. Raises UnreachableUrl."""
        pace = Pace(self._settings.upload_timeout, self._settings.min_upload_rate)
        chunks = response.aiter_raw()
        try:
            while (chunk := await pace.wait_for(anext(chunks, None))) is not None:
                pace.count(len(chunk))
                yield chunk
        except Stalled:
            raise UnreachableUrl(f"No byte came from the URL for {pace.timeout:g} s. {INSTEAD}") from None
        except TooSlow:
            raise UnreachableUrl(f"The URL's host sends less than {pace.rate} bytes a second. {INSTEAD}") from None
        except httpx.TransportError as error:
            raise UnreachableUrl(f"The URL's host breaks off. {INSTEAD}", type(error).__name__) from None


def _named(url: str, response: httpx.Response) -> tuple[str, str]:
    """What the file is called there, and its type. Servers that do not know a type say one that means nothing."""
    _, options = parse_options_header(response.headers.get("content-disposition", ""))
    path = unquote(url.partition("?")[0].partition("#")[0])
    name = options.get(b"filename", b"") or PurePosixPath(path).name.encode()
    declared = response.headers.get("content-type", "")
    generic = declared.partition(";")[0].strip().lower() in GENERIC_TYPES
    return header_text(name), "" if generic else header_text(declared.encode())
