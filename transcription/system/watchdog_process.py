"""The watchdog's process: `python -I -S watchdog_process.py PID SECONDS`, beats on standard input.

Needs the standard library only: it must be small, and starts beside a process that is starting itself.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import sys
import time
from pathlib import Path

TICK_SECONDS = 1.0  # between two looks
READY = b"r"  # a beat of a process that has finished its start; before, it sends others
# Until a process was ready once: it imports large libraries, from a slow disk perhaps, during which nothing else runs.
STARTING_FACTOR = 20
READ_BYTES = 4096
STOPPED, TRACED = "T", "t"  # states in proc(5)


def watch(pid: int, seconds: float, beats: int) -> None:
    """Read beats until the watched process, the parent, ends or is killed for its silence.

    pid: of the parent. seconds: of silence after which it is killed. beats: descriptor to read from.
    """
    limit, silence = seconds * STARTING_FACTOR, 0.0
    before = time.monotonic()
    while os.getppid() == pid:
        ready, _, _ = select.select([beats], [], [], TICK_SECONDS)
        now = time.monotonic()
        # No more than it should be: the machine, or everything in this container, may have been paused meanwhile.
        passed, before = min(now - before, 2 * TICK_SECONDS), now
        if ready:
            received = os.read(beats, READ_BYTES)
            if not received:
                return
            limit = seconds if READY in received else limit
            silence = 0.0
            continue
        state, parent = _state_of(pid)
        if state == TRACED or _is_traced(pid) or _state_of(parent)[0] == STOPPED:
            continue  # a debugger has it, or it was stopped together with its supervisor
        silence += passed
        if silence >= (seconds if state == STOPPED else limit):
            _kill(pid, silence, state)
            return


def _kill(pid: int, silence: float, state: str) -> None:
    if os.getppid() != pid:  # it has just ended, and its number may belong to another process
        return
    line = {"event": "process_stands_still", "level": "critical", "pid": pid, "seconds": round(silence), "state": state}
    with contextlib.suppress(OSError):
        sys.stderr.write(json.dumps(line) + "\n")
        sys.stderr.flush()
    os.kill(pid, signal.SIGKILL)


def _state_of(pid: int) -> tuple[str, int]:
    """The state of a process and its parent; "" and 0 if unknown."""
    fields = stat_fields(pid)
    return (fields[0], int(fields[1])) if fields else ("", 0)


def stat_fields(pid: int) -> list[str]:
    """What proc(5), stat, says of a process, from its state on; empty if it has ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
    except OSError:
        return []


def _is_traced(pid: int) -> bool:
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False
    tracer = status.partition("TracerPid:")[2].split(maxsplit=1)
    return bool(tracer) and tracer[0] != "0"


if __name__ == "__main__":
    watch(int(sys.argv[1]), float(sys.argv[2]), sys.stdin.fileno())
