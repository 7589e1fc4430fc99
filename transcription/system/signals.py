"""Signals of the process."""

from __future__ import annotations

import asyncio
import selectors
import signal
import socket
import time
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
    with _wakeup_socket() as woken:
        loop.add_reader(woken, woken.recv, 4096)
        try:
            yield
        finally:
            loop.remove_reader(woken)


def is_readable(descriptor: int, timeout: float | None = None) -> bool:
    """Wait until a descriptor can be read or has ended, at most `timeout` seconds. For the main thread.

    Python's handlers of signals run meanwhile. A read that blocks would not let them run if the signal came just before
    it, or to another thread. On Windows it does not wait: there only sockets can be waited for.
    """
    if not hasattr(selectors, "PollSelector"):
        return True
    ends_at = None if timeout is None else time.monotonic() + timeout
    with _wakeup_socket() as woken, selectors.PollSelector() as ready:
        ready.register(descriptor, selectors.EVENT_READ)
        ready.register(woken, selectors.EVENT_READ)
        while True:
            left = None if ends_at is None else max(0.0, ends_at - time.monotonic())
            found = [key.fileobj for key, _ in ready.select(left)]
            if descriptor in found or not found:
                return bool(found)
            woken.recv(4096)


@contextmanager
def _wakeup_socket() -> Iterator[socket.socket]:
    """A socket that can be read when a signal has arrived, whichever thread received it."""
    reader, writer = socket.socketpair()
    with reader, writer:
        reader.setblocking(False)
        writer.setblocking(False)
        before = signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
        try:
            yield reader
        finally:
            signal.set_wakeup_fd(before)
