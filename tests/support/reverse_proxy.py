"""A small reverse proxy that publishes a service under a path prefix."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

HOP_BY_HOP = frozenset({"connection", "keep-alive", "transfer-encoding", "upgrade", "proxy-connection"})
BLOCK = 65_536  # bytes


@contextmanager
def reverse_proxy(target: str, prefix: str, *, keeps: bool = False, announced: str = "") -> Iterator[str]:
    """Serve `target` under the prefix, and nothing elsewhere. Yields the address, without the prefix.

    target: the URL of the service. keeps: pass the path on with the prefix, not without it.
    announced: sent as X-Forwarded-Prefix; "" for none.
    """
    upstream = urlsplit(target)

    class Handler(BaseHTTPRequestHandler):
        def forward(self) -> None:
            if self.path != prefix and not self.path.startswith((f"{prefix}/", f"{prefix}?")):
                self.send_error(404, "not behind this proxy")
                return
            path = self.path if keeps else self.path.removeprefix(prefix) or "/"
            headers = {name: value for name, value in self.headers.items() if name.lower() not in HOP_BY_HOP}
            if announced:
                headers["X-Forwarded-Prefix"] = announced
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0)) or None
            connection = HTTPConnection(str(upstream.hostname), upstream.port, timeout=60)
            connection.request(self.command, path, body, headers)
            self.answer(connection)
            connection.close()

        def answer(self, connection: HTTPConnection) -> None:
            response = connection.getresponse()
            self.send_response(response.status)
            for name, value in response.getheaders():
                if name.lower() not in HOP_BY_HOP:
                    self.send_header(name, value)
            self.send_header("Connection", "close")
            self.end_headers()
            while block := response.read1(BLOCK):
                self.wfile.write(block)

        do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = do_OPTIONS = forward  # noqa: N815

        def log_message(self, format: str, *arguments: object) -> None:
            """Print nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
