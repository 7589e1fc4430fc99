"""What a process gives up before it reads hostile input."""

from __future__ import annotations

import ctypes
import os
import resource
import signal

from transcription.system.thread_priority import NICENESS

PR_SET_PDEATHSIG = 1  # linux/prctl.h
PR_SET_NO_NEW_PRIVS = 38

# Loaded here and not where it is used: there the address space may be limited already.
_libc = ctypes.CDLL(None, use_errno=True)


def confine(limits: dict[str, int], parent: int) -> None:
    """Give up, for good and for all descendants, everything that reading one file does not need.

    limits: name of a resource without RLIMIT_, such as AS (bytes), CPU (seconds). parent: the process to die with.
    Raises OSError, ValueError and ProcessLookupError; then the process must not go on.
    """
    os.setsid()  # a session of its own: one signal reaches it and all it starts
    _prctl(PR_SET_NO_NEW_PRIVS, 1)
    die_with(parent, signal.SIGKILL)
    os.setpriority(os.PRIO_PROCESS, 0, NICENESS)
    for name, value in limits.items():
        number = getattr(resource, f"RLIMIT_{name}")
        allowed = resource.getrlimit(number)[1]
        value = value if allowed == resource.RLIM_INFINITY else min(value, allowed)
        resource.setrlimit(number, (value, value))


def die_with(parent: int, number: signal.Signals) -> None:
    """Receive this signal when the parent ends. Raises ProcessLookupError when it has ended already."""
    _prctl(PR_SET_PDEATHSIG, number)
    if os.getppid() != parent:
        raise ProcessLookupError(f"the parent, {parent}, is gone")


def _prctl(option: int, value: int) -> None:
    if _libc.prctl(option, value, 0, 0, 0) != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
