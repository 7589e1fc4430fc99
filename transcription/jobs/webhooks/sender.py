"""One attempt to POST a callback: resolves the host, checks every address, and connects to a checked one only."""

from __future__ import annotations

import asyncio
import contextlib
import re
import ssl
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime

import httpx

from transcription.core.errors import InvalidParameter
from transcription.jobs.job import DeliveryState
from transcription.outbound.address_rules import CALLBACK, Address, AllowList, Endpoint, objection, parse_url
from transcription.outbound.http_client import Resolver, addresses_of, bare_transport, request_to

MAX_RESPONSE_BYTES = 65_536
RETRIED_CLIENT_ERRORS = frozenset({httpx.codes.REQUEST_TIMEOUT, httpx.codes.TOO_MANY_REQUESTS})


@dataclass(frozen=True, slots=True)
class Outcome:
    """The outcome of one attempt.

    state: PENDING if another attempt may succeed. detail: for operators. retry_after: seconds, as requested by the
    receiver.
    """

    state: DeliveryState
    detail: str
    retry_after: float = 0.0


def judge(status: int, retry_after: float) -> Outcome:
    """The outcome of an attempt, by the response. A status that may change with another attempt leaves it pending."""
    if httpx.codes.is_success(status):
        return Outcome(DeliveryState.DELIVERED, f"The receiver answered {status}.")
    if httpx.codes.is_redirect(status):
        return Outcome(
            DeliveryState.PENDING, f"The receiver answered {status}; redirects are not followed.", retry_after
        )
    if httpx.codes.is_client_error(status) and status not in RETRIED_CLIENT_ERRORS:
        return Outcome(
            DeliveryState.GIVEN_UP, f"The receiver answered {status}, which another attempt would not change."
        )
    return Outcome(DeliveryState.PENDING, f"The receiver answered {status}.", retry_after)


def retry_after_seconds(header: str, now: float) -> float:
    """Seconds that a Retry-After header asks for, as a number or a date; 0 if it is neither. now: since the epoch."""
    if re.fullmatch(r"[0-9]{1,9}", header):
        return float(header)
    try:
        date = parsedate_to_datetime(header)
    except (ValueError, OverflowError):  # no date, or a year beyond any
        return 0.0
    if date.tzinfo is None:  # an obsolete form without a time zone, which is GMT in HTTP
        date = date.replace(tzinfo=UTC)
    return max(0.0, date.timestamp() - now)


class Sender:
    """Sends callbacks.

    allow: hosts and networks beside public addresses. timeout: of a whole attempt, seconds. resolve: called once per
    attempt, for hosts that are names. tls: as for `bare_transport`.
    """

    def __init__(self, allow: AllowList, timeout: float, resolve: Resolver, tls: ssl.SSLContext | None) -> None:
        self._allow = allow
        self._timeout = timeout
        self._resolve = resolve
        self._tls = tls

    async def send(self, url: str, attempt: int, headers: dict[str, str], body: bytes) -> Outcome:
        """POST the body. The timeout covers everything from resolving the host to the last byte read.

        attempt: from 1. headers: sent as they are.
        """
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
        except httpx.ProtocolError:  # its text has what the receiver sent
            return Outcome(DeliveryState.PENDING, "The receiver gave no answer, or one that is not HTTP.")
        except httpx.TransportError as error:
            return Outcome(DeliveryState.PENDING, f"The connection failed: {str(error) or type(error).__name__}.")
        except (OSError, UnicodeError) as error:
            return Outcome(DeliveryState.PENDING, f"The host name cannot be resolved: {error}.")

    async def _post_to_any(
        self,
        endpoint: Endpoint,
        addresses: Sequence[Address],
        attempt: int,
        headers: dict[str, str],
        body: bytes,
        deadline: float,
    ) -> Outcome:
        """POST to the first address that accepts a connection.

        Each attempt begins with a different address, because one that hangs uses up the whole timeout.
        """
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
            # The status decides. The body is read only because some receivers treat an early close as an error.
            with contextlib.suppress(TimeoutError, httpx.TransportError):
                async with asyncio.timeout_at(deadline):
                    await _read_start(response)
            await response.aclose()
        return judge(response.status_code, retry_after_seconds(response.headers.get("Retry-After", ""), time.time()))


async def _read_start(response: httpx.Response) -> None:
    """Read the body up to MAX_RESPONSE_BYTES, and the chunk that exceeds it."""
    read = 0
    async for chunk in response.aiter_raw():
        read += len(chunk)
        if read >= MAX_RESPONSE_BYTES:
            return
