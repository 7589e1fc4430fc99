"""One try to POST a callback: resolve the host, check every address, connect to a checked one and to no other."""

from __future__ import annotations

import asyncio
import contextlib
import re
import ssl
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import httpx

from transcription.core.errors import InvalidParameter
from transcription.jobs.job import DeliveryState
from transcription.outbound.address_rules import CALLBACK, Address, AllowList, Endpoint, objection, parse_url
from transcription.outbound.http_client import Resolver, addresses_of, bare_transport, request_to

MAX_RESPONSE_BYTES = 65_536
HTTP_DATE = "%a, %d %b %Y %H:%M:%S GMT"  # RFC 9110, section 5.6.7; the obsolete forms are not read
RETRIED_CLIENT_ERRORS = frozenset({httpx.codes.REQUEST_TIMEOUT, httpx.codes.TOO_MANY_REQUESTS})


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one try went. state: PENDING when another one may help. retry_after: seconds the receiver asks for."""

    state: DeliveryState
    detail: str
    retry_after: float = 0.0


def judge(status: int, retry_after: float) -> Outcome:
    """What the answer means. Whatever another try may change is tried again."""
    if httpx.codes.is_success(status):
        return Outcome(DeliveryState.DELIVERED, f"The receiver answered {status}.")
    if httpx.codes.is_redirect(status):
        return Outcome(
            DeliveryState.PENDING, f"The receiver answered {status}; redirects are not followed.", retry_after
        )
    if httpx.codes.is_client_error(status) and status not in RETRIED_CLIENT_ERRORS:
        return Outcome(DeliveryState.GIVEN_UP, f"The receiver answered {status}, which another try would not change.")
    return Outcome(DeliveryState.PENDING, f"The receiver answered {status}.", retry_after)


def retry_after_seconds(header: str, now: float) -> float:
    """Seconds that a Retry-After header asks for, in either of its forms; 0 when it says nothing."""
    if re.fullmatch(r"[0-9]{1,9}", header):
        return float(header)
    try:
        date = datetime.strptime(header, HTTP_DATE).replace(tzinfo=UTC)
    except ValueError:
        return 0.0
    return max(0.0, date.timestamp() - now)


class Sender:
    """Makes one try.

    timeout: of a whole try, seconds.
    resolve: called once a try, for hosts that are names. tls: what certificates are checked with.
    """

    def __init__(self, allow: AllowList, timeout: float, resolve: Resolver, tls: ssl.SSLContext) -> None:
        self._allow = allow
        self._timeout = timeout
        self._resolve = resolve
        self._tls = tls

    async def send(self, url: str, attempt: int, headers: dict[str, str], body: bytes) -> Outcome:
        """POST the body within the timeout, from resolving the host to the last byte that is read."""
        deadline = asyncio.get_running_loop().time() + self._timeout
        try:
            endpoint = parse_url(url, CALLBACK)
            async with asyncio.timeout_at(deadline):
                addresses = await addresses_of(endpoint, self._resolve)
            reason = objection(endpoint, addresses, self._allow, CALLBACK)
            if reason:
                return Outcome(DeliveryState.GIVEN_UP, reason)
            return await self._post_to_any(endpoint, addresses, attempt, headers, body, deadline)
        except InvalidParameter as error:
            return Outcome(DeliveryState.GIVEN_UP, error.message)
        except TimeoutError:
            return Outcome(DeliveryState.PENDING, f"No answer within {self._timeout:g} s.")
        except httpx.TransportError as error:
            return Outcome(DeliveryState.PENDING, f"The connection failed: {error or type(error).__name__}.")
        except (OSError, UnicodeError) as error:
            return Outcome(DeliveryState.PENDING, f"The host's name cannot be resolved: {error}.")

    async def _post_to_any(
        self,
        endpoint: Endpoint,
        addresses: Sequence[Address],
        attempt: int,
        headers: dict[str, str],
        body: bytes,
        deadline: float,
    ) -> Outcome:
        """The first address that can be connected to. Every attempt begins with another one: one may just hang."""
        first = (attempt - 1) % len(addresses)
        *others, last = [*addresses[first:], *addresses[:first]]
        for address in others:
            with contextlib.suppress(httpx.ConnectError):
                return await self._post(endpoint, address, headers, body, deadline)
        return await self._post(endpoint, last, headers, body, deadline)

    async def _post(
        self, endpoint: Endpoint, address: Address, headers: dict[str, str], body: bytes, deadline: float
    ) -> Outcome:
        request = request_to(endpoint, address, "POST", headers, body)
        async with bare_transport(self._tls) as transport:
            async with asyncio.timeout_at(deadline):
                response = await transport.handle_async_request(request)
            # The status has said it all. The rest is read for the sake of receivers that dislike an early end.
            with contextlib.suppress(TimeoutError, httpx.TransportError):
                async with asyncio.timeout_at(deadline):
                    await _read_a_little(response)
            await response.aclose()
        return judge(response.status_code, retry_after_seconds(response.headers.get("Retry-After", ""), time.time()))


async def _read_a_little(response: httpx.Response) -> None:
    """The body, as far as MAX_RESPONSE_BYTES and the chunk that passes it."""
    read = 0
    async for chunk in response.aiter_raw():
        read += len(chunk)
        if read >= MAX_RESPONSE_BYTES:
            return
