"""Requests over a plain socket, for clients that leave before their answer."""

from __future__ import annotations

import socket
from urllib.parse import urlsplit

from tests.support.service import LocalService


def connect(service: LocalService, timeout: float = 60) -> socket.socket:
    """A connection to the service."""
    address = urlsplit(service.url)
    return socket.create_connection((address.hostname, address.port), timeout=timeout)


def form_with(recording: bytes) -> bytes:
    """The body of an upload, its boundary being "b"."""
    head = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.mp3"\r\n\r\n'
    return head + recording + b"\r\n--b--\r\n"


def request_head(request_id: str, length: int, query: str = "") -> bytes:
    """The head of an upload to /transcribe whose body has this length."""
    return (
        f"POST /transcribe{query} HTTP/1.1\r\nHost: x\r\nX-Request-ID: {request_id}\r\n"
        f"Content-Type: multipart/form-data; boundary=b\r\nContent-Length: {length}\r\n\r\n"
    ).encode()
