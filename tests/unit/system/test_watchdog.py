"""A process that stands still is killed from outside, and one that merely pauses with everything else is not."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import psutil
import pytest

from tests.support.media_files import ROOT
from tests.support.waiting import wait_until
from transcription.system import watchdog_process

SECONDS = 2
PROGRAM = f"""
import asyncio, ctypes, fcntl, sys, termios, time
from transcription.system import watchdog as module

module.BEAT_SECONDS = 0.1

class Watchdog(module.Watchdog):
    sent = False

    def _sent(self, beat):
        self.sent = super()._sent(beat)
        return self.sent

    def is_heard(self):
        return self.sent and not any(fcntl.ioctl(self._pipe, termios.FIONREAD, bytes(4)))

async def main():
    watchdog = Watchdog({SECONDS}, lambda: READY)
    watchdog.start()
    while not watchdog.is_heard():
        await asyncio.sleep(0.01)
    print("watched", flush=True)
    THEN
    await asyncio.sleep(1000)

asyncio.run(main())
"""


@contextmanager
def watched(then: str = "pass", ready: bool = True) -> Iterator[subprocess.Popen[bytes]]:
    """A watched process that does `then` in its event loop."""
    code = PROGRAM.replace("THEN", then).replace("READY", str(ready))
    with subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE) as process:
        assert process.stdout
        assert process.stdout.readline() == b"watched\n"
        try:
            yield process
        finally:
            process.kill()


def watchdog_of(process: subprocess.Popen[bytes]) -> psutil.Process:
    """The process that watches this one."""
    children = psutil.Process(process.pid).children()
    [found] = [child for child in children if watchdog_process.__file__ in child.cmdline()]
    return found


def test_a_process_that_was_stopped_is_killed() -> None:
    with watched() as process:
        os.kill(process.pid, signal.SIGSTOP)
        assert process.wait(60) == -signal.SIGKILL


def test_a_process_that_was_stopped_during_its_start_is_killed() -> None:
    with watched(ready=False) as process:
        os.kill(process.pid, signal.SIGSTOP)
        assert process.wait(60) == -signal.SIGKILL


def test_a_process_whose_interpreter_is_stuck_is_killed() -> None:
    with watched("ctypes.PyDLL(None).sleep(1000)  # which holds the interpreter's lock") as process:
        assert process.wait(60) == -signal.SIGKILL


def test_a_process_whose_event_loop_is_stuck_is_killed() -> None:
    with watched("time.sleep(1000)") as process:
        assert process.wait(60) == -signal.SIGKILL


def test_a_process_that_runs_is_not_killed() -> None:
    with watched() as process, pytest.raises(subprocess.TimeoutExpired):
        process.wait(SECONDS + 2)


def test_a_process_that_starts_may_stand_still_for_longer() -> None:
    with watched("time.sleep(1000)", ready=False) as process, pytest.raises(subprocess.TimeoutExpired):
        process.wait(SECONDS + 2)


def test_a_process_is_not_killed_for_a_pause_of_the_machine() -> None:
    """Everything stops and goes on: the watchdog sees that its own clock jumped."""
    with watched() as process:
        watchdog = watchdog_of(process)
        watchdog.suspend()
        os.kill(process.pid, signal.SIGSTOP)
        time.sleep(SECONDS + 1)
        watchdog.resume()
        time.sleep(0.2)
        os.kill(process.pid, signal.SIGCONT)
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(SECONDS)


def test_a_process_that_is_stopped_together_with_its_supervisor_is_not_killed() -> None:
    program = PROGRAM.replace("THEN", "print(os.getpid(), flush=True)").replace("READY", "True")
    code = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {'import os' + program!r}])"
    with subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE) as supervisor:
        assert supervisor.stdout
        assert supervisor.stdout.readline() == b"watched\n"
        process = psutil.Process(int(supervisor.stdout.readline()))
        try:
            supervisor.send_signal(signal.SIGSTOP)
            process.suspend()
            with pytest.raises(psutil.TimeoutExpired):
                process.wait(SECONDS + 2)
        finally:
            process.kill()
            supervisor.kill()


def test_a_watchdog_that_ends_is_replaced() -> None:
    with watched() as process:
        first = watchdog_of(process)
        first.kill()
        assert wait_until(lambda: _another(process, first.pid), 30)


def _another(process: subprocess.Popen[bytes], than: int) -> bool:
    try:
        return watchdog_of(process).pid != than
    except (ValueError, psutil.Error):
        return False


def test_the_watchdog_ends_with_the_watched_process() -> None:
    with watched() as process:
        watchdog = watchdog_of(process)
        process.kill()
    assert wait_until(lambda: not watchdog.is_running() or watchdog.status() == psutil.STATUS_ZOMBIE, 30)


def test_the_watchdog_is_small() -> None:
    with watched() as process:
        assert watchdog_of(process).memory_info().rss < 20_000_000
