"""What is known of a window, beside its request, when it reaches the device."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass


def _nothing() -> None:
    pass


@dataclass(frozen=True, slots=True)
class Delivery:
    """How a window arrives.

    deaths: when other runners died with it on their device, seconds since the epoch.
    admitted: a runner of the pool has admitted its request, so that it is not refused for the length of the queue.
    started: called from a thread of the device when the window is on it; must return at once.
    """

    deaths: Sequence[float] = ()
    admitted: bool = False
    started: Callable[[], None] = _nothing


ORDINARY = Delivery()
