"""A call on SIGTERM, before the server waits for its connections.

BentoML 1.4.39 calls `on_shutdown` hooks after uvicorn 0.54 has closed the last connection, and an event stream stays
open until its job ends.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable
from types import FrameType


def call_on_sigterm(stop: Callable[[], None]) -> None:
    """Call `stop` in the running event loop when SIGTERM arrives, before the handler that is installed now.

    Call in the main thread, from an `on_startup` hook: uvicorn has installed its handler by then.
    """
    loop = asyncio.get_running_loop()
    server_handler = signal.getsignal(signal.SIGTERM)

    def handle(number: int, frame: FrameType | None) -> None:
        loop.call_soon_threadsafe(stop)
        if callable(server_handler):
            server_handler(number, frame)

    signal.signal(signal.SIGTERM, handle)
