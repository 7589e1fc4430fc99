"""The address of a client behind proxies."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from starlette.types import Scope

Network = IPv4Network | IPv6Network

FORWARDED = b"x-forwarded-for"
IPV6_PREFIX = 64  # bits; a subscriber has at least one whole /64, RFC 6177
UNKNOWN = "unknown"  # clients on a Unix socket have no address


def parse_networks(text: str) -> tuple[Network, ...]:
    """Parse comma-separated addresses and networks. Raises ValueError."""
    return tuple(ip_network(part.strip(), strict=False) for part in text.split(",") if part.strip())


def client_of(scope: Scope, trusted: Sequence[Network]) -> str:
    """The address that a request counts towards: an IPv4 address, or the /64 network of an IPv6 address.

    X-Forwarded-For is trusted as far as trusted proxies wrote it: from the end up to and including the first address
    that is not a trusted proxy. If that part is malformed, the address of the peer counts.
    """
    peer = _unmapped(scope["client"][0]) if scope.get("client") else UNKNOWN
    if not _is_trusted(peer, trusted):
        return _client_key(peer)
    for hop in reversed(_hops(scope)):
        if not _is_address(hop):
            return _client_key(peer)
        if not _is_trusted(hop, trusted):
            return _client_key(hop)
    return _client_key(peer)


def is_from_proxy(scope: Scope, trusted: Sequence[Network]) -> bool:
    """Whether a trusted proxy sent the request, so that its X-Forwarded headers count."""
    return bool(scope.get("client")) and _is_trusted(_unmapped(scope["client"][0]), trusted)


def _hops(scope: Scope) -> list[str]:
    values = [value.decode("latin-1") for name, value in scope["headers"] if name == FORWARDED]
    return [_unmapped(hop.strip()) for value in values for hop in value.split(",") if hop.strip()]


def _unmapped(text: str) -> str:
    """The IPv4 address in an IPv4-mapped IPv6 address such as ::ffff:192.0.2.1; any other text unchanged."""
    address = ip_address(text) if _is_address(text) else None
    return str(address.ipv4_mapped) if isinstance(address, IPv6Address) and address.ipv4_mapped else text


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def _is_trusted(text: str, trusted: Sequence[Network]) -> bool:
    return _is_address(text) and any(ip_address(text) in network for network in trusted)


def _client_key(text: str) -> str:
    if not _is_address(text):
        return UNKNOWN
    address = ip_address(text)
    if not isinstance(address, IPv6Address):
        return str(address)
    return str(IPv6Network((address, IPV6_PREFIX), strict=False))
