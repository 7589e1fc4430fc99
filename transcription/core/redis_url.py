"""The address of a Redis in the settings: one server, or Sentinels that know which server is the primary."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, unquote

SENTINEL_PORT = 26379
# Options of TLS: files of certificates to trust, and of a certificate of our own with its key.
FILES = {"ssl_ca_certs", "ssl_certfile", "ssl_keyfile"}
SENTINELS = re.compile(
    r"(?P<scheme>rediss?)\+sentinel://"
    r"(?:(?P<user>[^:@/]*):(?P<password>[^@/]*)@)?"
    r"(?P<hosts>[A-Za-z0-9._-]+(?::\d{1,5})?(?:,[A-Za-z0-9._-]+(?::\d{1,5})?)*)"
    r"/(?P<primary>[A-Za-z0-9._-]+)(?:/(?P<database>\d{1,4}))?"
    r"(?:\?(?P<files>.+))?"
)


@dataclass(frozen=True, slots=True)
class Sentinels:
    """The Sentinels of a primary.

    hosts: names with ports. primary: the name that they know it by. user, password: of the Redis servers, "" for none;
    the Sentinels have none. tls: options of a connection, to the servers and to the Sentinels; none without TLS.
    """

    hosts: tuple[tuple[str, int], ...]
    primary: str
    database: int
    user: str
    password: str
    tls: dict[str, Any]


def parse_sentinels(url: str) -> Sentinels | None:
    """The Sentinels in redis+sentinel://USER:PASSWORD@HOST:PORT,HOST:PORT/PRIMARY/DATABASE; None for another URL."""
    found = SENTINELS.fullmatch(url)
    if not found:
        return None
    has_tls, files = found["scheme"] == "rediss", dict(parse_qsl(found["files"] or "", keep_blank_values=True))
    if files.keys() - (FILES if has_tls else set()) or not all(files.values()):
        return None
    if "ssl_keyfile" in files and "ssl_certfile" not in files:
        return None
    pairs = [each.partition(":") for each in found["hosts"].split(",")]
    return Sentinels(
        hosts=tuple((host, int(port or SENTINEL_PORT)) for host, _, port in pairs),
        primary=found["primary"],
        database=int(found["database"] or 0),
        user=unquote(found["user"] or ""),
        password=unquote(found["password"] or ""),
        tls={"ssl": True, "ssl_cert_reqs": "required", **files} if has_tls else {},
    )
