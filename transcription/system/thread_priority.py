"""Scheduling priority of threads."""

from __future__ import annotations

import os
import sys
import threading

NICENESS = 5  # a third of the CPU share of other threads while all of them want a core


def lower_priority() -> None:
    """Let short work, such as event loops and status requests, go before the current thread. Linux only.

    A process that was started with a lower priority still keeps it: raising it again takes a privilege.
    """
    if sys.platform == "linux":
        thread = threading.get_native_id()
        os.setpriority(os.PRIO_PROCESS, thread, max(NICENESS, os.getpriority(os.PRIO_PROCESS, thread)))
