"""Limits and privileges of a process, reduced before it reads untrusted input."""

from __future__ import annotations

import ctypes
import os
import resource
import signal

from transcription.system.thread_priority import NICENESS

PR_SET_PDEATHSIG = 1  # linux/prctl.h
PR_SET_NO_NEW_PRIVS = 38

# Loaded at import: where it is used, the address space may already be limited.
_libc = ctypes.CDLL(None, use_errno=True)


def confine(limits: dict[str, int], parent: int) -> None:
    """Irrevocably drop what reading one file does not need, for this process and all its descendants.

    limits: by resource, named as in RLIMIT_*, such as AS (bytes) or CPU (seconds).
    parent: process whose end kills this one.
    Raises OSError, ValueError and ProcessLookupError; the process must then not continue.
    """
    os.setsid()  # a session and group of its own: one signal reaches it and all its descendants
    _prctl(PR_SET_NO_NEW_PRIVS, 1)
    die_with(parent, signal.SIGKILL)
    # Raising a priority that is already lower requires a privilege.
    os.setpriority(os.PRIO_PROCESS, 0, max(NICENESS, os.getpriority(os.PRIO_PROCESS, 0)))
    for name, value in limits.items():
        number = getattr(resource, f"RLIMIT_{name}")
        allowed = resource.getrlimit(number)[1]
        value = value if allowed == resource.RLIM_INFINITY else min(value, allowed)
        resource.setrlimit(number, (value, value))


def die_with(parent: int, number: signal.Signals) -> None:
    """Have the kernel send this signal when the parent ends. Raises ProcessLookupError if it has ended already."""
    _prctl(PR_SET_PDEATHSIG, number)
    if os.getppid() != parent:
        raise ProcessLookupError(f"the parent process {parent} has ended")


def _prctl(option: int, value: int) -> None:
    if _libc.prctl(option, value, 0, 0, 0) != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
