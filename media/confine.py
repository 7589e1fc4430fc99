"""Give a process its limits, then become the program it is for: `python confine.py LIMITS PARENT PROGRAM ARG...`.

A wrapper of its own because code that runs between fork and exec in a process with threads may deadlock, and limits set
from outside come too late. Imports nothing of ours: it runs isolated.
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import signal
import sys

PR_SET_PDEATHSIG = 1  # linux/prctl.h
PR_SET_NO_NEW_PRIVS = 38


def confine(limits: dict[str, int], parent: int) -> None:
    """Set every limit, and die with the parent.

    limits: name of a resource without RLIMIT_, such as AS (bytes), CPU (seconds).
    """
    for name, value in limits.items():
        resource.setrlimit(getattr(resource, f"RLIMIT_{name}"), (value, value))
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:  # it died before the line above
        sys.exit(1)


if __name__ == "__main__":
    confine(json.loads(sys.argv[1]), int(sys.argv[2]))
    os.execv(sys.argv[3], sys.argv[3:])
