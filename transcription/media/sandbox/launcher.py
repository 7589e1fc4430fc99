"""The process that forks all confined processes: `python -m transcription.media.sandbox.launcher SOCKET PARENT FOLDER`.

Starting Python and importing PyAV takes 0.1 s of CPU. The launcher does it once; each file then costs a fork. The
launcher itself never opens a client's file: its children do, after confining themselves. It has one thread and no event
loop, so that a fork cannot copy a lock that is held.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import resource
import selectors
import signal
import socket
import stat
import sys
import traceback
from functools import partial
from pathlib import Path
from typing import NoReturn

from transcription.media.sandbox import sandbox
from transcription.media.sandbox.confine import confine, die_with
from transcription.media.sandbox.inspect_streams import describe
from transcription.media.sandbox.launcher_protocol import (
    FILE_DESCRIPTOR,
    FILE_PATH,
    INSPECT,
    NOT_STARTED,
    End,
    Received,
    receive,
)

OPEN_FILES = 4096  # limit on descriptors; the launcher needs one per running process, and a few more
SIGNALS_AT_ONCE = 512
HANDLED = (signal.SIGCHLD, signal.SIGTERM)
ENVIRONMENT = {"LANG": "C.UTF-8"}  # of executed programs


class Launcher:
    """Starts, kills and reaps the confined processes.

    Only the launcher signals and reaps its children, and it never signals one after reaping it. A process number
    therefore cannot refer to another process.
    """

    def __init__(self, control: socket.socket) -> None:
        self._control = control
        self._running: dict[int, socket.socket] = {}  # channel by process number
        self._signals = _signals_as_bytes()
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._control, selectors.EVENT_READ, self._take_order)
        self._selector.register(self._signals, selectors.EVENT_READ, self._take_signals)
        self._ending = False

    def serve(self) -> None:
        """Carry out orders until the socket closes or SIGTERM arrives; then kill and reap the remaining processes."""
        try:
            while not self._ending:
                for key, _ in self._selector.select():
                    key.data()
        finally:
            for pid in self._running:
                _kill(pid)
            for pid in self._running:
                os.waitpid(pid, 0)

    def _take_order(self) -> None:
        try:
            received = receive(self._control)
        except BlockingIOError:  # out of descriptors; the client sees its channel close
            return
        if received is None:
            self._ending = True
            return
        channel = socket.socket(fileno=received.channel)
        try:
            pid = _fork(received)
        except OSError:  # no memory, or too many processes; the client sees its channel close
            channel.close()
            return
        finally:
            for descriptor in (received.stdout, received.stderr, received.file):
                if descriptor is not None:
                    os.close(descriptor)
        self._running[pid] = channel
        self._selector.register(channel, selectors.EVENT_READ, partial(self._abandon, pid, channel))

    def _abandon(self, pid: int, channel: socket.socket) -> None:
        """Kill a process whose client has closed the channel."""
        if self._running.get(pid) is channel:  # otherwise it has just been reaped
            self._selector.unregister(channel)
            _kill(pid)

    def _take_signals(self) -> None:
        arrived = os.read(self._signals, SIGNALS_AT_ONCE)
        self._ending = self._ending or signal.SIGTERM in arrived
        # WNOWAIT keeps the process number reserved until the rest of its group is killed, too.
        while self._running and (ended := os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)):
            _kill(ended.si_pid)
            _, status, used = os.wait4(ended.si_pid, 0)
            end = End(os.waitstatus_to_exitcode(status), used.ru_utime + used.ru_stime)
            self._report(self._running.pop(ended.si_pid), end)

    def _report(self, channel: socket.socket, end: End) -> None:
        if channel in self._selector.get_map():
            self._selector.unregister(channel)
        with channel, contextlib.suppress(BrokenPipeError):  # the client has gone
            channel.send(end.encode())


def _signals_as_bytes() -> int:
    """A descriptor from which the numbers of arriving HANDLED signals can be read, one byte each."""
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, HANDLED)  # the parent may have blocked them
    for number in HANDLED:
        signal.signal(number, lambda *_: None)
    signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    return reading


def _reset_signals() -> None:
    """Reset all signals to their defaults, because an executed program inherits those ignored or blocked.

    Python ignores two itself, and a shell ignores more in the background processes that it starts.
    """
    signal.set_wakeup_fd(-1)
    for number in signal.valid_signals():
        if signal.getsignal(number) is not signal.SIG_DFL:
            signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def _kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)
    with contextlib.suppress(ProcessLookupError):  # the child had no group of its own yet
        os.killpg(pid, signal.SIGKILL)


def _fork(received: Received) -> int:
    """Process number of the new child. Raises OSError."""
    launcher = os.getpid()
    pid = os.fork()
    if pid == 0:
        _become(received, launcher)
    return pid


def _become(received: Received, launcher: int) -> NoReturn:
    """In the child: close all descriptors but /dev/null, the pipes and the file, confine, then inspect or execute."""
    order, file = received.order, received.file
    failure = NOT_STARTED
    try:
        _reset_signals()
        os.dup2(received.stdout, sys.stdout.fileno())
        os.dup2(received.stderr, sys.stderr.fileno())
        if file is not None:
            os.dup2(file, FILE_DESCRIPTOR)
        os.closerange(sys.stderr.fileno() + 1 if file is None else FILE_DESCRIPTOR + 1, OPEN_FILES)
        confine(order.limits, launcher)
        program = None if order.program == INSPECT else order.program
        if file is not None:
            # A program reads a pipe through its descriptor: a pipe has no path that Landlock could allow.
            is_pipe = program is not None and stat.S_ISFIFO(os.fstat(FILE_DESCRIPTOR).st_mode)
            path = None if is_pipe else Path(FILE_PATH)
            sandbox.enter(sandbox.available(), path, Path(program) if program else None)
        if program:
            os.execve(program, [program, *order.arguments], ENVIRONMENT)
        demuxer, skip = order.arguments
        failure = os.EX_SOFTWARE
        json.dump(describe(FILE_PATH, demuxer, int(skip)), sys.stdout)
        sys.stdout.flush()
        os._exit(0)
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(failure)  # in any case: this process must not continue as a second launcher


def main(control: int, parent: int, folder: str) -> None:
    """Run the launcher.

    control: descriptor of the socket for orders. parent: process whose end also ends the launcher. folder: base of
    relative paths in orders.
    """
    open_files = min(OPEN_FILES, resource.getrlimit(resource.RLIMIT_NOFILE)[1])
    resource.setrlimit(resource.RLIMIT_NOFILE, (open_files, open_files))
    os.chdir(folder)
    with socket.socket(fileno=control) as orders:
        launcher = Launcher(orders)
        die_with(parent, signal.SIGTERM)
        sandbox.available()  # cached here for all children
        gc.freeze()  # a collection in a child would copy every page that it touches
        launcher.serve()


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
