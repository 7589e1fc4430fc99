"""Addresses of the runners: RUNNER_URL, with names resolved to all their addresses."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Address:
    """One runner. url: as in RUNNER_URL, whose host is asked for and checked in TLS. ip, port: to connect to."""

    url: str
    ip: str
    port: int

    def __str__(self) -> str:
        host = f"[{self.ip}]" if ":" in self.ip else self.ip
        return f"{host}:{self.port}"


def parse_urls(value: str) -> tuple[str, ...]:
    """The URLs in RUNNER_URL, without a slash at their ends."""
    return tuple(part.strip().rstrip("/") for part in value.split(",") if part.strip())


async def resolve_all(urls: Sequence[str]) -> set[Address]:
    """Every address of every URL. A name that does not resolve has none at present."""
    found = await asyncio.gather(*(_resolve(url) for url in urls))
    return {address for addresses in found for address in addresses}


async def _resolve(url: str) -> list[Address]:
    parts = urlsplit(url)
    port = parts.port or PORTS[parts.scheme]
    loop = asyncio.get_running_loop()
    try:
        answers = await loop.getaddrinfo(parts.hostname or "", port, type=socket.SOCK_STREAM)
    except OSError:
        return []
    # A name of this machine has an address of each kind for the same runner.
    ips = {str(answer[4][0]) for answer in answers if answer[0] == socket.AF_INET} or {
        str(answer[4][0]) for answer in answers
    }
    return [Address(url, ip, port) for ip in ips]
