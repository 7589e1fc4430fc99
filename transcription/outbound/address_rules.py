"""Rules for URLs sent by clients: public addresses over https on port 443, and those on an allow list.

Only decisions: this module resolves no name and opens no connection.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

from transcription.core.errors import InvalidParameter

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

MAX_URL_LENGTH = 2048  # characters
MAX_NAME_LENGTH = 253  # characters, RFC 1035
MAX_PORT = 65535
HTTPS_PORT = 443
DEFAULT_PORTS = {"http": 80, "https": HTTPS_PORT}

# Networks that Python 3.11's `is_global` accepts although they are multicast or lead to other addresses.
REFUSED_IPV4 = tuple(
    ipaddress.IPv4Network(network)
    for network in (
        "192.0.0.0/24",  # protocol assignments, of which Python excludes two parts only
        "192.31.196.0/24",  # AS112, answered by the nearest server
        "192.52.193.0/24",  # multicast tunnels
        "192.88.99.0/24",  # relays of 6to4
        "192.175.48.0/24",  # AS112
        "224.0.0.0/4",  # multicast
    )
)
# Global unicast. Outside it are mapped (::ffff:0:0/96) and compatible (::/96) IPv4 addresses, NAT64
# (64:ff9b::/96, 64:ff9b:1::/48), segment routing (5f00::/16), unique local, link-local, site-local and multicast ones.
GLOBAL_IPV6 = ipaddress.IPv6Network("2000::/3")
REFGLOBAL_IPV6 = tuple(
    ipaddress.IPv6Network(network)
    for network in (
        "2001::/23",  # protocol assignments, including Teredo, which embeds an IPv4 address
        "2001:db8::/32",  # documentation
        "2002::/16",  # 6to4, which embeds an IPv4 address
        "2620:4f:8000::/48",  # AS112
        "3fff::/20",  # documentation
    )
)

URL_CHARACTERS = re.compile(r"[A-Za-z0-9\-._~:/?#\[\]@!$&'()*+,;=%]*")  # RFC 3986
URL = re.compile(r"(?P<scheme>https?)://(?P<authority>[^/?#]*)(?P<path>[^?#]*)(?P<query>\?[^#]*)?(?:#.*)?", re.I)
AUTHORITY = re.compile(r"(?:\[(?P<ipv6>[^\[\]]*)\]|(?P<host>[^\[\]:]*))(?::(?P<port>[0-9]{0,5}))?")
LABEL = r"(?!-)[a-z0-9_-]{1,63}(?<!-)"
NAME = re.compile(rf"{LABEL}(?:\.{LABEL})*")
# C libraries parse names with such an ending as IPv4 addresses: 127.1, 0x7f000001, 017700000001.
NUMBER_AT_THE_END = re.compile(r"(?:.*\.)?(?:[0-9]+|0x[0-9a-f]*)")


@dataclass(frozen=True, slots=True)
class Purpose:
    """The purpose of a connection, as worded in messages. parameter: has the URL. setting: has the allow list."""

    parameter: str
    setting: str
    what: str
    direction: str
    no_password: str = ""


CALLBACK = Purpose("callback_url", "WEBHOOK_ALLOW", "Callbacks go", "to", ": callbacks are signed")
RECORDING = Purpose("url", "URL_ALLOW", "Recordings are fetched", "from")
REDIRECT = replace(RECORDING, parameter="The address that url redirects to")


@dataclass(frozen=True, slots=True)
class Endpoint:
    """The parts of a URL.

    scheme: http or https. host: in lower case, an IPv6 address without brackets. target: path and query.
    address: the host, if it is an IP address.
    """

    scheme: str
    host: str
    port: int
    target: str
    address: Address | None = None

    @property
    def authority(self) -> str:
        """Value of the Host header."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"


def parse_url(url: str, purpose: Purpose) -> Endpoint:
    """Parse and validate a URL; its fragment is dropped. Raises InvalidParameter."""
    if len(url) > MAX_URL_LENGTH:
        raise InvalidParameter(f"{purpose.parameter} has {len(url)} characters. Send at most {MAX_URL_LENGTH}.")
    if not URL_CHARACTERS.fullmatch(url):
        raise InvalidParameter(
            f"{purpose.parameter} contains characters that are not allowed in a URL. Percent-encode them, and "
            "write the host in punycode."
        )
    parts = URL.fullmatch(url)
    if parts is None:
        raise InvalidParameter(f"{purpose.parameter} is not a URL of the form https://host/path.")
    if "@" in parts["authority"]:
        raise InvalidParameter(
            f"{purpose.parameter} contains a user name or a password. Remove it{purpose.no_password}."
        )
    scheme = parts["scheme"].lower()
    authority = AUTHORITY.fullmatch(parts["authority"].lower())
    if authority is None:
        raise InvalidParameter(f"{purpose.parameter} has no valid host or port. Send https://host/path.")
    port = int(authority["port"] or DEFAULT_PORTS[scheme])
    if not 1 <= port <= MAX_PORT:
        raise InvalidParameter(f"{purpose.parameter} has port {port}. Send one from 1 to {MAX_PORT}, or none.")
    target = (parts["path"] or "/") + (parts["query"] or "")
    if authority["ipv6"] is not None:
        address = _ipv6(authority["ipv6"], purpose)
        return Endpoint(scheme, str(address), port, target, address)
    host = authority["host"]
    literal = _ipv4(host)
    if literal is None and not _is_name(host):
        raise InvalidParameter(
            f"{purpose.parameter} has the host {host!r}, which is neither a name nor an address. Send https://host/path."
        )
    return Endpoint(scheme, host, port, target, literal)


@dataclass(frozen=True, slots=True)
class AllowList:
    """Hosts that are allowed besides public ones over https. A port of None means any port.

    names: host names in lower case; one with a leading dot stands for all names below it.
    networks: networks, or single addresses as networks.
    """

    names: tuple[tuple[str, int | None], ...] = ()
    networks: tuple[tuple[Network, int | None], ...] = ()

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse a setting: names, *.names, addresses and networks, separated by commas, each with an optional port.

        Raises ValueError with the invalid entry in its message.
        """
        names: list[tuple[str, int | None]] = []
        networks: list[tuple[Network, int | None]] = []
        for entry in filter(None, (part.strip().lower() for part in text.split(","))):
            host, port = _split_port(entry)
            network = _network(host)
            name = host.removeprefix("*.")
            if network is not None:
                networks.append((network, port))
            elif _is_name(name):
                names.append((host.removeprefix("*"), port))
            else:
                raise ValueError(
                    f"{entry!r} is neither a host name (app.internal, *.example.com) nor an address or network "
                    "(10.1.2.3, 10.0.0.0/8, fd00::/8), with an optional port (app.internal:8443, [fd00::1]:8443)"
                )
        return cls(tuple(names), tuple(networks))

    def has_name(self, host: str, port: int) -> bool:
        """Whether the host name is allowed on this port."""
        return any(
            allowed_port in (None, port) and (host.endswith(name) if name.startswith(".") else host == name)
            for name, allowed_port in self.names
        )

    def has_address(self, address: Address, port: int) -> bool:
        """Whether the address is allowed on this port."""
        return any(allowed_port in (None, port) and address in network for network, allowed_port in self.networks)


def is_public(address: Address) -> bool:
    """Whether an address is that of a single host on the internet, and does not embed or lead to another address."""
    if not address.is_global or address.is_multicast or address.is_reserved:
        return False
    if isinstance(address, ipaddress.IPv4Address):
        return not any(address in network for network in REFUSED_IPV4)
    return address in GLOBAL_IPV6 and address.scope_id is None and not any(address in other for other in REFGLOBAL_IPV6)


def objection(endpoint: Endpoint, addresses: Sequence[Address], allow: AllowList, purpose: Purpose) -> str:
    """The reason why a connection is not allowed, with the remedy; empty if it is allowed.

    addresses: all addresses of the host. The text, which clients see, does not contain them.
    """
    if allow.has_name(endpoint.host, endpoint.port):
        return ""
    others = [address for address in addresses if not allow.has_address(address, endpoint.port)]
    if addresses and not others:
        return ""
    remedy = f", or have the operator add the host to {purpose.setting}."
    if endpoint.scheme != "https":
        return f"{purpose.what} over https only. Send an https URL{remedy}"
    if endpoint.port != HTTPS_PORT:
        return (
            f"{purpose.what} {purpose.direction} port {HTTPS_PORT} only, not {endpoint.port}. Use port "
            f"{HTTPS_PORT}{remedy}"
        )
    if not all(is_public(address) for address in others):
        return (
            f"{purpose.what} {purpose.direction} public addresses only, and the host has another one. Use a public "
            f"host{remedy}"
        )
    return ""


def _is_name(host: str) -> bool:
    return len(host) <= MAX_NAME_LENGTH and bool(NAME.fullmatch(host)) and not NUMBER_AT_THE_END.fullmatch(host)


def _ipv4(host: str) -> ipaddress.IPv4Address | None:
    try:
        return ipaddress.IPv4Address(host)
    except ValueError:
        return None


def _ipv6(host: str, purpose: Purpose) -> ipaddress.IPv6Address:
    try:
        address = ipaddress.IPv6Address(host)
    except ValueError:
        raise InvalidParameter(f"{purpose.parameter} has the host [{host}], which is not an IPv6 address.") from None
    if address.scope_id is not None:
        raise InvalidParameter(f"{purpose.parameter} has an IPv6 address with a zone. Remove the % and what follows.")
    return address


def _network(text: str) -> Network | None:
    """The network, or None if the text is not one. Raises ValueError if host bits are set."""
    try:
        network = ipaddress.ip_network(text, strict=False)
    except ValueError:
        return None
    if "%" in text:
        return None
    if "/" in text and str(ipaddress.ip_address(text.split("/")[0])) != str(network.network_address):
        raise ValueError(f"{text!r} has bits set beyond its length; did you mean {network}?")
    return network


def _split_port(entry: str) -> tuple[str, int | None]:
    """Host and port of an entry. More than one colon means an IPv6 address. Raises ValueError for an invalid port."""
    bracketed = re.fullmatch(r"\[([^\[\]]*)\](?::([0-9]+))?", entry)
    plain = re.fullmatch(r"([^\[\]:]*):([0-9]+)", entry)
    match = bracketed or plain
    if match is None or match[2] is None:
        return (match[1] if match else entry), None
    port = int(match[2])
    if not 1 <= port <= MAX_PORT:
        raise ValueError(f"{entry!r} has a port that is not from 1 to {MAX_PORT}")
    return match[1], port
