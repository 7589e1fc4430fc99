"""What the texts among the settings must look like. Each rule returns the value, and raises ValueError with advice."""

from __future__ import annotations

import re
from ipaddress import ip_network
from urllib.parse import urlsplit

from transcription.core.redis_url import parse_sentinels

# No empty segment, which would name another host in a link, and none that begins with a dot.
ROOT_PATH = r"(/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)*"
MODEL_NAME = re.compile(r"\*|[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
DEVICE = re.compile(r"auto|cpu|cuda(:(all|\d{1,2}(,\d{1,2})*))?")
LAYOUT = re.compile(r"auto|latency|throughput|[1-9]\d{0,2}x[1-9]\d{0,2}x[1-9]\d{0,2}")
MIN_SECRET_CHARACTERS = 32


def device(value: str) -> str:
    """The device of the models, or several GPUs."""
    numbers = value.partition(":")[2].split(",")
    if not DEVICE.fullmatch(value) or len(set(numbers)) < len(numbers):
        raise ValueError("must be auto, cpu, cuda, cuda:all, or cuda: with the numbers of GPUs, such as cuda:0,1")
    return value


def layout(value: str) -> str:
    """The layout of a device."""
    if not LAYOUT.fullmatch(value):
        raise ValueError("must be auto, latency, throughput, or SLOTSxTHREADSxBATCH such as 2x1x4, each at most 999")
    return value


def secret(value: str) -> str:
    """A key for signatures, or none."""
    if value and len(value.strip()) < MIN_SECRET_CHARACTERS:
        raise ValueError(
            f"must have at least {MIN_SECRET_CHARACTERS} characters, such as the output of openssl rand -hex 24"
        )
    return value


def path_prefix(value: str) -> str:
    """A path without a slash at its end."""
    path = value.rstrip("/")
    if not re.fullmatch(ROOT_PATH, path):
        raise ValueError("must be a path such as /speech, of letters, digits and ._~-")
    return path


def model_names(value: str) -> str:
    """Names of models, comma-separated, or *."""
    for part in value.split(","):
        if part.strip() and not MODEL_NAME.fullmatch(part.strip()):
            raise ValueError(f"'{part.strip()}' is neither the name of a model nor *")
    return value


def networks(value: str) -> str:
    """Addresses and networks, comma-separated."""
    for part in value.split(","):
        if part.strip():
            ip_network(part.strip(), strict=False)
    return value


def redis_server(value: str) -> str:
    """The URL of a Redis, or none."""
    if "+sentinel:" in value.partition("/")[0]:
        if parse_sentinels(value):
            return value
        raise ValueError(
            "must be redis+sentinel://HOST:PORT,HOST:PORT/PRIMARY/DATABASE, or rediss+sentinel:// for TLS, which may "
            "end with ?ssl_ca_certs=FILE"
        )
    try:
        known = not value or (urlsplit(value).scheme in ("redis", "rediss") and urlsplit(value).port != 0)
    except ValueError:  # the port is not a number
        known = False
    if not known:
        raise ValueError("must be redis://HOST:PORT/DATABASE, or rediss:// for TLS")
    return value


def runner_urls(value: str) -> str:
    """Addresses of runners, comma-separated."""
    for part in value.split(","):
        if not part.strip():
            continue
        try:
            url = urlsplit(part.strip())
            known = url.scheme in ("http", "https") and bool(url.hostname) and url.port != 0
        except ValueError:  # the port is not a number
            known = False
        if not known or url.path.strip("/") or url.query or url.fragment or url.username:
            raise ValueError(f"'{part.strip()}' is not http://HOST:PORT or https://HOST:PORT")
    return value
