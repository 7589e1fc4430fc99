"""Who goes first when all threads of this machine want a core."""

from __future__ import annotations

import os
import sys
import threading

NICENESS = 5  # a third of the share of others, when all of them want a core


def lower_priority() -> None:
    """Let short work go before what this thread does: event loops, and whoever asks how a job stands. Linux only."""
    if sys.platform == "linux":
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICENESS)
