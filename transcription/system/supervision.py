"""Ends a process whose supervisor has died, and kills one beside it that was stopped.

No process would replace the first or those beside it any more, and it would keep the port from a new service. The
second is for those that have no watchdog: a runner that is stopped during its imports, or an API process.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path

import structlog

from transcription.system.watchdog_process import STOPPED, stat_fields

POLL_SECONDS = 1.0
STOP_SECONDS = 60.0  # of a graceful stop, which takes at most 30

# When this is imported, early in a start. Later the supervisor may already have died.
_SUPERVISOR = os.getppid()

WORKER = b"--worker-id"  # in the command lines of all processes of the supervisor

log = structlog.get_logger(__name__)


def end_with_supervisor(stopped_seconds: float = 0) -> None:
    """From now on, stop this process gracefully once its parent has died, and kill it if that takes too long.

    stopped_seconds: another process of the supervisor that was stopped (SIGSTOP) for so long is killed; 0 for none.
    """
    arguments = _SUPERVISOR, stopped_seconds
    threading.Thread(target=_supervise, args=arguments, name="supervision", daemon=True).start()


class StoppedSiblings:
    """The other processes of a supervisor that were stopped, and for how long."""

    def __init__(self, supervisor: int, mark: bytes = WORKER) -> None:
        self._supervisor = supervisor
        self._mark = mark
        self._looks: dict[tuple[int, str], int] = {}  # by process number and start time

    def kill_after(self, looks: float) -> None:
        """Look once, and kill those that were stopped at so many looks in a row.

        Looks are counted, not time: while the whole machine is paused there are none.
        """
        if _state(self._supervisor)[:1] == [STOPPED]:  # everything was stopped, on a terminal perhaps
            self._looks.clear()
            return
        stopped = {(pid, fields[-1]) for pid in self._siblings() if (fields := _state(pid))[:1] == [STOPPED]}
        self._looks = {each: self._looks.get(each, 0) + 1 for each in stopped}
        for pid, started in [each for each, count in self._looks.items() if count >= looks]:
            _kill(pid, started)

    def _siblings(self) -> set[int]:
        files = Path(f"/proc/{self._supervisor}/task").glob("*/children")
        pids = {int(pid) for file in files for pid in _read(file).split()} - {os.getpid()}
        return {pid for pid in pids if self._mark in _read(Path(f"/proc/{pid}/cmdline"))}


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


def _state(pid: int) -> list[str]:
    """The state and the start time of a process; empty if it has ended."""
    fields = stat_fields(pid)
    return [fields[0], fields[19]] if fields else []


def _kill(pid: int, started: str) -> None:
    """Kill this process, unless another one killed it meanwhile and its number was given to a third."""
    try:
        process = os.pidfd_open(pid)
    except OSError:
        return
    try:
        if _state(pid) == [STOPPED, started]:
            log.critical("process_stands_still", pid=pid, state=STOPPED)
            signal.pidfd_send_signal(process, signal.SIGKILL)
    except ProcessLookupError:
        return
    finally:
        os.close(process)


def _supervise(supervisor: int, stopped_seconds: float) -> None:
    siblings = StoppedSiblings(supervisor)
    while os.getppid() == supervisor:
        if stopped_seconds:
            siblings.kill_after(stopped_seconds / POLL_SECONDS)
        time.sleep(POLL_SECONDS)
    log.critical("supervisor_has_died", supervisor=supervisor)
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(STOP_SECONDS)
    os.kill(os.getpid(), signal.SIGKILL)
