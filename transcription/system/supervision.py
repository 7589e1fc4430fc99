"""Ends a process whose supervisor has died.

Nobody would replace it or the processes beside it any more, and it would keep the port from a new service.
"""

from __future__ import annotations

import os
import signal
import threading
import time

import structlog

POLL_SECONDS = 1.0
STOP_SECONDS = 60.0  # of a graceful stop, which takes at most 30

# When this is imported, early in a start. Later the supervisor may already have died.
_SUPERVISOR = os.getppid()

log = structlog.get_logger(__name__)


def end_with_supervisor() -> None:
    """From now on, stop this process gracefully once its parent has died, and kill it if that takes too long."""
    threading.Thread(target=_end_with, args=(_SUPERVISOR,), name="supervision", daemon=True).start()


def _end_with(supervisor: int) -> None:
    while os.getppid() == supervisor:
        time.sleep(POLL_SECONDS)
    log.critical("supervisor_has_died", supervisor=supervisor)
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(STOP_SECONDS)
    os.kill(os.getpid(), signal.SIGKILL)
