"""The address of a client behind proxies."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from starlette.types import Scope

Network = IPv4Network | IPv6Network

FORWARDED = b"x-forwarded-for"
IPV6_PREFIX = 64  # bits; a subscriber has at least a whole one, RFC 6177
UNKNOWN = "unknown"  # a Unix socket has no address


def parse_networks(text: str) -> tuple[Network, ...]:
    """Addresses and networks, separated by commas. Raises ValueError."""
    return tuple(ip_network(part.strip(), strict=False) for part in text.split(",") if part.strip())


def client_of(scope: Scope, trusted: Sequence[Network]) -> str:
    """The address that a request is counted for: an IPv4 address, or the /64 of an IPv6 address.

    X-Forwarded-For is believed as far as trusted proxies wrote it: from its end up to the first address that is not
    one of them. If it is malformed, the address of the peer counts.
    """
    peer = _unmapped(scope["client"][0]) if scope.get("client") else UNKNOWN
    if not _is_trusted(peer, trusted):
        return _counted(peer)
    for hop in reversed(_hops(scope)):
        if not _is_address(hop):
            return _counted(peer)
        if not _is_trusted(hop, trusted):
            return _counted(hop)
    return _counted(peer)


def _hops(scope: Scope) -> list[str]:
    values = [value.decode("latin-1") for name, value in scope["headers"] if name == FORWARDED]
    return [_unmapped(hop.strip()) for value in values for hop in value.split(",") if hop.strip()]


def _unmapped(text: str) -> str:
    """An IPv4 address as such; a socket for both kinds writes it as ::ffff:192.0.2.1."""
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


def _counted(text: str) -> str:
    if not _is_address(text):
        return UNKNOWN
    address = ip_address(text)
    if not isinstance(address, IPv6Address):
        return str(address)
    return str(IPv6Network((address, IPV6_PREFIX), strict=False))
