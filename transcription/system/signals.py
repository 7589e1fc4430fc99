"""Signals of the process."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable
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
