"""Scheduling priority of threads."""

from __future__ import annotations

import os
import sys
import threading

NICENESS = 5  # a third of the CPU share of other threads while all of them want a core


def lower_priority() -> None:
    """Lower the priority of the current thread below that of event loops and status requests. Linux only.

    A process that was started with an even lower priority keeps it, because raising it requires a privilege.
    """
    if sys.platform == "linux":
        thread = threading.get_native_id()
        os.setpriority(os.PRIO_PROCESS, thread, max(NICENESS, os.getpriority(os.PRIO_PROCESS, thread)))
