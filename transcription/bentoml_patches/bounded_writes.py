"""Responses whose clients must read them: sent piece by piece, and given up when a client takes nothing.

uvicorn 0.54 hands each part of a body to the transport in one call. asyncio copies what the socket does not take at
once, so that a hundred clients that read a large result slowly keep a hundred copies of it. Neither ends a response
whose client has stopped reading, nor a connection that is being closed while data waits for such a client.
"""

from __future__ import annotations

import asyncio
import fcntl
import socket
import struct
import termios
from collections import deque
from contextvars import Context

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from transcription.telemetry.metrics import STALLED_READERS

PIECE = 65536  # bytes
PIECES_IN_A_ROUND = 4
HIGH_WATER = 16384  # bytes in the transport from which a response waits for its client
UNSENT = 131072  # bytes that the kernel takes before the client has room for them; it would take megabytes
CHECKS = 4  # in a time limit

log = structlog.get_logger(__name__)


class Turns:
    """Lets a few pieces be sent in each round of the event loop, in the order in which they ask.

    Otherwise a round takes as long as there are readers, and a new request waits for several rounds.
    """

    def __init__(self, in_a_round: int = PIECES_IN_A_ROUND) -> None:
        self._in_a_round = in_a_round
        self._left = in_a_round
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._ends = False  # whether the end of the round is scheduled

    async def take(self) -> None:
        """Wait for a turn."""
        loop = asyncio.get_running_loop()
        if not self._ends:
            self._ends = True
            loop.call_soon(self._next_round)
        if self._left and not self._waiting:
            self._left -= 1
            return
        turn = loop.create_future()
        self._waiting.append(turn)
        await turn

    def _next_round(self) -> None:
        self._left = self._in_a_round
        while self._left and self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():  # cancelled, because its client has gone
                turn.set_result(None)
                self._left -= 1
        self._ends = bool(self._waiting) or self._left < self._in_a_round
        if self._ends:
            asyncio.get_running_loop().call_soon(self._next_round)


class BoundedWrites:
    """Sends the responses of one connection in pieces and aborts it once its client has taken nothing for `timeout`.

    Being the outermost ASGI application, it holds for every response. timeout: seconds. turns: shared by all
    connections of the process.
    """

    def __init__(self, app: ASGIApp, transport: asyncio.Transport, timeout: float, turns: Turns) -> None:
        self._app = app
        self._turns = turns
        self._transport = transport
        self._timeout = timeout
        self._sent = 0  # bytes of bodies
        self._taken = 0
        self._progress_at = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._closed = False
        _limit_buffers(transport)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_pieces(message: Message) -> None:
            self._watch()
            body = message.get("body", b"")
            if len(body) <= PIECE:
                self._sent += len(body)
                await send(message)
                return
            view = memoryview(body)
            for start in range(0, len(body), PIECE):
                piece = view[start : start + PIECE]
                more = message.get("more_body", False) or start + PIECE < len(body)
                await self._turns.take()
                self._sent += len(piece)
                await send({**message, "body": piece, "more_body": more})

        await self._app(scope, receive, send_pieces)

    def close(self) -> None:
        """Stop the timer, for good. To be called when the connection is lost."""
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _watch(self) -> None:
        # An application goes on for a moment after its connection is lost.
        if self._timer is None and not self._closed:
            self._progress_at = asyncio.get_running_loop().time()
            self._schedule()

    def _check(self) -> None:
        loop = asyncio.get_running_loop()
        waiting = bytes_waiting(self._transport)
        taken = self._sent - waiting
        if not waiting or taken > self._taken:
            self._progress_at = loop.time()
        self._taken = taken
        if loop.time() - self._progress_at >= self._timeout:
            STALLED_READERS.inc()
            log.info("reader_stalled", seconds=self._timeout, bytes_waiting=waiting)
            self.close()
            self._transport.abort()
            return
        self._schedule()

    def _schedule(self) -> None:
        # In a context of its own: that of the request would keep the request alive as long as the connection.
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(self._timeout / CHECKS, self._check, context=Context())


def bytes_waiting(transport: asyncio.Transport) -> int:
    """The number of bytes that the client has not acknowledged yet, in this process and in the kernel."""
    waiting = transport.get_write_buffer_size()
    connection = transport.get_extra_info("socket")
    try:
        (in_kernel,) = struct.unpack("i", fcntl.ioctl(connection.fileno(), termios.TIOCOUTQ, bytes(4)))
    except (AttributeError, OSError, ValueError):  # no socket, closed already, or a system without this request
        return waiting
    return waiting + int(in_kernel)


def _limit_buffers(transport: asyncio.Transport) -> None:
    transport.set_write_buffer_limits(high=HIGH_WATER)
    connection = transport.get_extra_info("socket")
    if connection is not None and connection.family in (socket.AF_INET, socket.AF_INET6):
        option = getattr(socket, "TCP_NOTSENT_LOWAT", None)
        if option is not None:
            connection.setsockopt(socket.IPPROTO_TCP, option, UNSENT)
