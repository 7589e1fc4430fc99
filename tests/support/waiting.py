"""Waiting for what a test means, and not for a time that is long enough on one machine."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

SETTLE_SECONDS = 30.0  # in which a service cleans up after a request; a busy machine takes some of them
# Between two looks: a tenth of the time that has passed. What is waited for would be slowed down by more.
SHORTEST_PAUSE, LONGEST_PAUSE = 0.02, 0.1
PAUSE_SHARE = 0.1


def wait_until(condition: Callable[[], Any], seconds: float = SETTLE_SECONDS) -> bool:
    """Whether the condition came true within so many seconds: the limit of a failure, not the length of a wait."""
    started = time.monotonic()
    while not condition():
        passed = time.monotonic() - started
        if passed > seconds:
            return False
        time.sleep(min(max(SHORTEST_PAUSE, PAUSE_SHARE * passed), LONGEST_PAUSE))
    return True
