"""Waiting for what a test means, and not for a time that is long enough on one machine."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

SETTLE_SECONDS = 30.0  # in which a service cleans up after a request; a busy machine takes some of them
POLL_SECONDS = 0.02


def wait_until(condition: Callable[[], Any], seconds: float = SETTLE_SECONDS) -> bool:
    """Whether the condition came true within so many seconds: the limit of a failure, not the length of a wait."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL_SECONDS)
    return True
