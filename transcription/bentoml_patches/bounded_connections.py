"""HTTP connections with time limits on request heads and on reading responses, and bounded in number.

uvicorn 0.54 waits indefinitely for the first request head, and for the rest of a body after the request was refused.
With more connections than descriptors it stops accepting any. asyncio reads up to 256 KiB at once from each, which
uvicorn keeps until the application takes it, so that 500 uploads hold 125 MiB and more. BentoML 1.4.39 starts uvicorn
and has no setting for these.
"""

from __future__ import annotations

import asyncio
import sys
from typing import Any

import h11
from uvicorn.config import HTTP_PROTOCOLS
from uvicorn.protocols.http.h11_impl import H11Protocol

from transcription.bentoml_patches.application import application
from transcription.bentoml_patches.bounded_writes import BoundedWrites, Turns

HEAD_TIMEOUT = 10.0  # seconds
WRITE_TIMEOUT = 30.0  # seconds
CROWDED = "transcription.crowded"  # key in the scope of a request on a connection beyond the limit
MANY = 128  # connections, of which more share READ_IN_ALL
READ_IN_ALL = 8 * 1024 * 1024  # bytes that they together read at once
MOST_READ, LEAST_READ = 256 * 1024, 16 * 1024  # by one of them; asyncio's own limit, and what is still quick
REFUSED_AT_ONCE = 64  # connections beyond the limit that are served a refusal, or a probe; further ones are closed


class BoundedProtocol(H11Protocol):
    """Closes a connection that is not serving a request and does not send one within HEAD_TIMEOUT.

    The same limit holds for the rest of a body that is no longer read.
    """

    head_timeout = HEAD_TIMEOUT
    write_timeout = WRITE_TIMEOUT
    many, read_in_all = MANY, READ_IN_ALL
    max_connections = sys.maxsize
    turns = Turns()
    _deadline: asyncio.TimerHandle | None = None
    _writes: BoundedWrites | None = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Arguments: those that uvicorn passes to H11Protocol."""
        super().__init__(*args, **kwargs)
        self.app = application(self.app)

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Start the timer for the first head."""
        super().connection_made(transport)
        beyond = len(self.connections) - self.max_connections
        if beyond > REFUSED_AT_ONCE:
            transport.abort()
            return
        if beyond > 0:
            self.app_state = {**self.app_state, CROWDED: True}
        self._limit_reading()
        self.app = self._writes = BoundedWrites(self.app, transport, self.write_timeout, self.turns)
        self._watch()

    def data_received(self, data: bytes) -> None:
        """Stop the timer once a request is being served."""
        self._limit_reading()
        super().data_received(data)
        self._watch()

    def on_response_complete(self) -> None:
        """Start the timer if the response was sent before the request's body had arrived."""
        super().on_response_complete()
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the timers."""
        self._unwatch()
        if self._writes is not None:
            self._writes.close()
        super().connection_lost(exc)

    def _limit_reading(self) -> None:
        # Not documented, but read by every transport of asyncio for each read.
        most = read_size(len(self.connections), self.many, self.read_in_all)
        self.transport.max_size = most  # type: ignore[attr-defined]

    def _watch(self) -> None:
        serving = self.conn.our_state not in (h11.IDLE, h11.DONE)
        idle = self.timeout_keep_alive_task is not None  # between two requests: uvicorn has a timer of its own
        if serving or idle or self.transport.is_closing():
            self._unwatch()
        elif self._deadline is None:
            self._deadline = self.loop.call_later(self.head_timeout, self.transport.close)

    def _unwatch(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None


def read_size(connections: int, many: int = MANY, in_all: int = READ_IN_ALL) -> int:
    """Bytes that one of so many connections reads at once, at most. More than `many` share `in_all`."""
    return MOST_READ if connections <= many else max(LEAST_READ, min(MOST_READ, in_all // connections))


def install(write_timeout: float, max_connections: int) -> None:
    """Use BoundedProtocol in every server that this process starts from now on.

    write_timeout: seconds after which a client that takes nothing of its response is disconnected. max_connections: at
    the same time; requests on further ones have CROWDED in the state of their scope.
    BentoML does not pass a protocol class to uvicorn, so the one that uvicorn calls "auto" is replaced.
    """
    BoundedProtocol.write_timeout = write_timeout
    BoundedProtocol.max_connections = max_connections
    HTTP_PROTOCOLS["auto"] = f"{__name__}:{BoundedProtocol.__name__}"
