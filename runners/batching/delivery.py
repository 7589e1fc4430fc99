"""What is known of a window, beside its request, when it reaches the device."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

TELL_SECONDS = 0.2  # a batch waits no longer for callers that stand still

Started = Callable[[], threading.Event | None]


def _no_caller_to_tell() -> None:
    return None


@dataclass(frozen=True, slots=True)
class Delivery:
    """How a window arrives.

    deaths: how many runners died with it on their device, as far as the caller knows.
    admitted: a runner of the pool has admitted its request, so that it is not refused for the length of the queue.
    started: called from a thread of the device before the window is decoded; must return at once. The event that it
        returns is set when the caller has been told: it must know that the window was on the device if this process
        dies now.
    """

    deaths: int = 0
    admitted: bool = False
    started: Started = _no_caller_to_tell


ORDINARY = Delivery()


def tell(callers: Sequence[Started]) -> None:
    """Tell every caller that its window is on the device, and wait until all know, for at most TELL_SECONDS."""
    deadline = time.monotonic() + TELL_SECONDS
    for told in [started() for started in callers]:
        if told:
            told.wait(max(0.0, deadline - time.monotonic()))
