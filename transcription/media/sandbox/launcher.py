"""The process that starts every confined process: `python -m transcription.media.sandbox.launcher SOCKET PARENT
FOLDER`.

Starting Python and importing PyAV costs 0.1 s of CPU. It is paid once, here, and a file then costs a fork. The launcher
itself never opens a file of a client; the child that does has confined itself before. One thread and no event loop, so
that a fork copies no lock that somebody holds.
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
import sys
import traceback
from functools import partial
from pathlib import Path
from typing import NoReturn

from transcription.media.sandbox import sandbox
from transcription.media.sandbox.confine import confine, die_with
from transcription.media.sandbox.inspect_streams import describe
from transcription.media.sandbox.launcher_protocol import INSPECT, Order, Received, receive

OPEN_FILES = 4096  # at most; one for each process that runs, and a few
SIGNALS_AT_ONCE = 512
HANDLED = (signal.SIGCHLD, signal.SIGTERM)
ENVIRONMENT = {"LANG": "C.UTF-8"}  # all that a program gets


class Launcher:
    """Starts, kills and reaps.

    Nobody else signals or reaps the children, and they are signalled only until they are reaped: a number can never
    mean another process.
    """

    def __init__(self, control: socket.socket) -> None:
        self._control = control
        self._running: dict[int, socket.socket] = {}  # process number: its channel
        self._signals = _signals_as_bytes()
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._control, selectors.EVENT_READ, self._take_order)
        self._selector.register(self._signals, selectors.EVENT_READ, self._take_signals)
        self._ending = False

    def serve(self) -> None:
        """Carry out orders until they end, or until SIGTERM; then kill and reap what still runs."""
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
        except BlockingIOError:  # too many at once; the channel, lost on the way, tells
            return
        if received is None:
            self._ending = True
            return
        channel = socket.socket(fileno=received.channel)
        try:
            pid = _fork(received)
        except OSError:  # no memory, too many processes: again, the closed channel tells
            channel.close()
            return
        finally:
            os.close(received.stdout)
            os.close(received.stderr)
        self._running[pid] = channel
        self._selector.register(channel, selectors.EVENT_READ, partial(self._abandon, pid, channel))

    def _abandon(self, pid: int, channel: socket.socket) -> None:
        """The other side closed the channel: nobody wants this process any more."""
        if self._running.get(pid) is channel:  # else reaped a moment ago
            self._selector.unregister(channel)
            _kill(pid)

    def _take_signals(self) -> None:
        arrived = os.read(self._signals, SIGNALS_AT_ONCE)
        self._ending = self._ending or signal.SIGTERM in arrived
        # WNOWAIT: its number stays its own until the rest of its group is gone too.
        while self._running and (ended := os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)):
            _kill(ended.si_pid)
            _, status = os.waitpid(ended.si_pid, 0)
            self._report(self._running.pop(ended.si_pid), os.waitstatus_to_exitcode(status))

    def _report(self, channel: socket.socket, exit_code: int) -> None:
        if channel in self._selector.get_map():
            self._selector.unregister(channel)
        with channel, contextlib.suppress(BrokenPipeError):  # nobody is left to hear it
            channel.send(str(exit_code).encode())


def _signals_as_bytes() -> int:
    """A descriptor that every signal of HANDLED writes its number to."""
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, HANDLED)  # whatever the parent had blocked
    for number in HANDLED:
        signal.signal(number, lambda *_: None)
    signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    return reading


def _forget_signals() -> None:
    """Handle, ignore and block none: what is ignored or blocked stays so in a program that is executed.

    Python itself ignores two, a shell ignores more for what it starts in the background.
    """
    signal.set_wakeup_fd(-1)
    for number in signal.valid_signals():
        if signal.getsignal(number) is not signal.SIG_DFL:
            signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def _kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)
    with contextlib.suppress(ProcessLookupError):  # killed before it had a group of its own
        os.killpg(pid, signal.SIGKILL)


def _fork(received: Received) -> int:
    """Process number of the new child. Raises OSError."""
    launcher = os.getpid()
    pid = os.fork()
    if pid == 0:
        _become(received.order, received.stdout, received.stderr, launcher)
    return pid


def _become(order: Order, stdout: int, stderr: int, launcher: int) -> NoReturn:
    """In the child: keep nothing but /dev/null and the two pipes, confine it, and be what was ordered."""
    try:
        _forget_signals()
        os.dup2(stdout, sys.stdout.fileno())
        os.dup2(stderr, sys.stderr.fileno())
        os.closerange(sys.stderr.fileno() + 1, OPEN_FILES)
        confine(order.limits, launcher)
        program = None if order.program == INSPECT else order.program
        if order.file is not None:
            sandbox.enter(sandbox.available(), Path(order.file), Path(program) if program else None)
        if program:
            os.execve(program, [program, *order.arguments], ENVIRONMENT)
        demuxer, path = order.arguments
        json.dump(describe(path, demuxer), sys.stdout)
        sys.stdout.flush()
        os._exit(0)
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(1)  # whatever happened, this process is not a second launcher


def main(control: int, parent: int, folder: str) -> None:
    """control: descriptor of the socket that orders come from. parent: its owner, whose end is ours.

    folder: what relative paths in orders are relative to.
    """
    open_files = min(OPEN_FILES, resource.getrlimit(resource.RLIMIT_NOFILE)[1])
    resource.setrlimit(resource.RLIMIT_NOFILE, (open_files, open_files))
    os.chdir(folder)
    with socket.socket(fileno=control) as orders:
        launcher = Launcher(orders)
        die_with(parent, signal.SIGTERM)
        sandbox.available()  # asked here, so that no child has to
        gc.freeze()  # a collection in a child would copy every page that it marks
        launcher.serve()


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
