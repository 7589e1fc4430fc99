"""Signals of the process."""

from __future__ import annotations

import asyncio
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType


def call_on_sigterm(callback: Callable[[], None]) -> None:
    """Call `callback` in the running event loop on SIGTERM, and then the handler that was there before.

    An HTTP server calls its own shutdown hooks once the last connection is closed, and event streams have no end.
    """
    loop = asyncio.get_running_loop()
    previous = signal.getsignal(signal.SIGTERM)

    def handle(number: int, frame: FrameType | None) -> None:
        loop.call_soon_threadsafe(callback)
        if callable(previous):
            previous(number, frame)

    signal.signal(signal.SIGTERM, handle)


@contextmanager
def waking_the_loop() -> Iterator[None]:
    """Let signals wake the running event loop, that of the main thread.

    Python's handlers run there, but the kernel may give a signal to another thread, and the loop sleeps on.
    """
    loop = asyncio.get_running_loop()
    reader, writer = socket.socketpair()
    with reader, writer:
        reader.setblocking(False)
        writer.setblocking(False)
        loop.add_reader(reader, reader.recv, 4096)
        before = signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
        try:
            yield
        finally:
            signal.set_wakeup_fd(before)
            loop.remove_reader(reader)
