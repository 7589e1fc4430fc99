"""A web server on this machine that has a recording, in the ways in which a service may find one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread

KILOBYTE = 1000


class Site(BaseHTTPRequestHandler):
    """talk: the recording."""

    talk = b""
    requests: list[str] = []  # noqa: RUF012
    released = Event()  # the slow answer goes on

    def do_GET(self) -> None:
        type(self).requests.append(self.path)
        if self.path == "/slow.mp3":
            self.answer(200, {"Content-Length": str(len(self.talk))}, self.talk[: 2 * KILOBYTE])
            type(self).released.wait(60)
        elif self.path.startswith("/to/"):
            self.answer(302, {"Location": self.path.removeprefix("/to")})
        elif self.path == "/elsewhere":
            self.answer(302, {"Location": "http://127.0.0.2:1/inner"})
        elif self.path == "/nonsense":
            self.answer(302, {"Location": "https://[::1/inner"})
        elif self.path == "/talk.mp3":
            self.answer(200, {"Content-Type": "audio/mpeg"}, self.talk)
        else:
            self.answer(404, {})

    def answer(self, status: int, headers: dict[str, str], body: bytes = b"") -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def web_server() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Site)
    server.daemon_threads = True
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://localhost:{server.server_port}"
    finally:
        server.shutdown()
