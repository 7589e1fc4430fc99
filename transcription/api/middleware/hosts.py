"""Host names in requests, and those that the service answers for."""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address
from typing import Self

# Names that cannot be registered in public DNS, so that no stranger's page can have them: RFC 6761, RFC 6762, ICANN's
# reservation of .internal, and the names of Kubernetes' services.
PRIVATE_SUFFIXES = (".localhost", ".local", ".internal", ".svc")
EVERY_HOST = "*"
SUBDOMAINS = "*."
NAME = re.compile(r"[a-z0-9_-]+(\.[a-z0-9_-]+)*\.?")
AUTHORITY = re.compile(r"(?P<host>\[[^\[\]]*\]|[^\[\]:]*)(?::(?P<port>\d{0,5}))?")


@dataclass(frozen=True, slots=True)
class Authority:
    """A host and its port. host: in lower case, without a trailing dot. port: None if it is the scheme's default."""

    host: str
    port: int | None

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse HOST[:PORT] as in the Host header. Raises ValueError, also for userinfo and IPv6 without brackets."""
        match = AUTHORITY.fullmatch(text.strip().lower())
        if match is None:
            raise ValueError(f"'{text}' is not HOST or HOST:PORT")
        host = match["host"]
        if host.startswith("["):
            IPv6Address(host[1:-1])
        elif not NAME.fullmatch(host):
            raise ValueError(f"'{text}' is not HOST or HOST:PORT")
        return cls(host.removesuffix("."), int(match["port"]) if match["port"] else None)

    def is_at(self, host: str, port: int | None, default_port: int | None) -> bool:
        """Whether it is this host and port. default_port: that of the scheme, for a missing port."""
        return (self.host, self.port or default_port) == (host, port or default_port)


@dataclass(frozen=True, slots=True)
class AllowedHosts:
    """The hosts that the service answers for.

    Addresses, names with one label and private names are always among them: no page on the internet can have them as
    its own host. names: further ones. suffixes: of names, with their leading dot.
    """

    names: frozenset[str] = frozenset()
    suffixes: tuple[str, ...] = ()
    every: bool = False

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse comma-separated names; `*.` before one means its subdomains, `*` any host. Raises ValueError."""
        parts = [part.strip() for part in text.split(",") if part.strip()]
        wanted = [part for part in parts if part != EVERY_HOST]
        return cls(
            frozenset(_name(part) for part in wanted if not part.startswith(SUBDOMAINS)),
            tuple(f".{_name(part.removeprefix(SUBDOMAINS))}" for part in wanted if part.startswith(SUBDOMAINS)),
            EVERY_HOST in parts,
        )

    def allows(self, text: str) -> bool:
        """Whether a value of the Host header names one of them."""
        if self.every:
            return True
        try:
            host = Authority.parse(text).host
        except ValueError:
            return False
        if host in self.names or host.endswith((*PRIVATE_SUFFIXES, *self.suffixes)):
            return True
        return "." not in host or _is_address(host)


def _name(text: str) -> str:
    """A name of the setting as it is in a Host header: internationalized names in their ASCII form."""
    try:
        ascii_name = text if text.isascii() else text.encode("idna").decode()
        authority = Authority.parse(ascii_name)
    except ValueError:
        authority = None
    if authority is None or authority.port is not None:
        raise ValueError(f"'{text}' is not a host name; write it without scheme, port and path, as in example.com")
    return authority.host


def _is_address(host: str) -> bool:
    try:
        ip_address(host.strip("[]"))
    except ValueError:
        return False
    return True
