"""Publishes a service over TLS, for clients that connect to nothing else."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from socketserver import BaseRequestHandler, ThreadingTCPServer
from urllib.parse import urlsplit

from tests.support.certificates import write_certificate

HOST = "localhost"
BLOCK = 65_536  # bytes


@contextmanager
def tls_tunnel(target: str, certificate: Path) -> Iterator[str]:
    """Pass every connection on. target: the URL of the service. certificate: where a new one is written."""
    upstream = urlsplit(target)
    write_certificate(certificate, HOST)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)

    class Tunnel(BaseRequestHandler):
        def handle(self) -> None:
            with (
                suppress(OSError),
                context.wrap_socket(self.request, server_side=True) as client,
                socket.create_connection((upstream.hostname, upstream.port)) as service,
            ):
                back = threading.Thread(target=copy, args=(service, client), daemon=True)
                back.start()
                copy(client, service)
                back.join()

    with ThreadingTCPServer((HOST, 0), Tunnel) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"https://{HOST}:{server.server_address[1]}"
        finally:
            server.shutdown()


def copy(source: socket.socket, target: socket.socket) -> None:
    """Pass on what one side sends until it ends."""
    with suppress(OSError):
        while block := source.recv(BLOCK):
            target.sendall(block)
        target.shutdown(socket.SHUT_WR)
