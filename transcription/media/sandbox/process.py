"""Child processes for hostile input: limited, without our environment, gone when we are done.

A launcher forks them (see `transcription.media.sandbox.launcher`). There is one for this process, started when it
is first needed and again
when it has died.
"""

from __future__ import annotations

import asyncio
import atexit
import os
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path

import structlog

from transcription.core.errors import ServiceUnavailable
from transcription.media.sandbox import launcher_protocol as orders
from transcription.media.sandbox import sandbox
from transcription.media.sandbox.launcher_protocol import Order

ROOT = Path(__file__).resolve().parents[3]
# As -I, which would hide our own packages as well.
LAUNCHER = (sys.executable, "-E", "-s", "-m", "transcription.media.sandbox.launcher")
OPEN_FILES = 64
# Of the user, not of the child: it stops an avalanche only. Where the kernel has seccomp no process can be started.
PROCESSES = 8192
PIPE_BUFFER = 1 << 16  # bytes that asyncio reads ahead of us; the rest waits in the pipe and stops the child
EXIT_CODE_BYTES = 8
BUSY_SECONDS = 0.005  # in which a launcher takes a few of the hundred orders that wait at most
# Of the launcher, nothing of ours: a decoder needs no secrets, and LD_* or FFREPORT in it would be read.
ENVIRONMENT = {"LANG": "C.UTF-8", "PATH": os.defpath}


log = structlog.get_logger(__name__)


def limits(memory: int, cpu_seconds: int) -> dict[str, int]:
    """Resource limits of a child that reads one file and writes to a pipe. memory: address space, bytes."""
    return {"AS": memory, "CPU": cpu_seconds, "FSIZE": 0, "CORE": 0, "NOFILE": OPEN_FILES, "NPROC": PROCESSES}


class Process:
    """A confined process: what it writes, and the code it ends with."""

    def __init__(
        self, stdout: asyncio.StreamReader, stderr: asyncio.StreamReader, channel: socket.socket, held: ExitStack
    ) -> None:
        self.stdout = stdout
        self.stderr = stderr
        self._channel = channel
        self._held = held
        self._exit_code = asyncio.create_task(_exit_code(channel))

    async def wait(self) -> int:
        """Exit code; the negative number of the signal that killed it.

        Raises ServiceUnavailable when the process never started or its launcher died.
        """
        code = await asyncio.shield(self._exit_code)
        if code is None:
            raise ServiceUnavailable("The decoder was stopped. Try again.", "the launcher of media processes is gone")
        return code

    async def end(self) -> None:
        """Kill it unless it has ended, and return when it is reaped."""
        with self._held:
            self._channel.shutdown(socket.SHUT_WR)  # the launcher takes this as the order to kill
            await self._exit_code


@asynccontextmanager
async def confined(
    command: Sequence[str], resources: dict[str, int], file: Path | None = None
) -> AsyncIterator[Process]:
    """Run `command` (path of the program first); on every way out it is killed and reaped.

    file: of a client, the only one that the command shall read. Without it there is no sandbox.
    """
    async with _run(Order(command[0], tuple(command[1:]), resources, str(file) if file else None)) as process:
        yield process


@asynccontextmanager
async def inspecting(path: Path, demuxer: str, resources: dict[str, int]) -> AsyncIterator[Process]:
    """Run `transcription.media.sandbox.inspect_streams.describe`, whose answer is JSON on stdout; else as
    `confined`.
    """
    async with _run(Order(orders.INSPECT, (demuxer, str(path)), resources, str(path))) as process:
        yield process


@asynccontextmanager
async def _run(order: Order) -> AsyncIterator[Process]:
    with ExitStack() as held:
        channel, its_channel = socket.socketpair()
        held.enter_context(channel)
        channel.setblocking(False)
        with its_channel, ExitStack() as its_pipes:
            stdout, its_stdout = await _pipe(held, its_pipes)
            stderr, its_stderr = await _pipe(held, its_pipes)
            while not _launcher.take(order, its_stdout, its_stderr, its_channel.fileno()):
                await asyncio.sleep(BUSY_SECONDS)
        process = Process(stdout, stderr, channel, held.pop_all())
    try:
        yield process
    finally:
        # Shielded: a second cancellation must not leave a process.
        await asyncio.shield(process.end())


async def _pipe(held: ExitStack, given: ExitStack) -> tuple[asyncio.StreamReader, int]:
    reading, writing = os.pipe()
    given.callback(os.close, writing)
    reader = asyncio.StreamReader(PIPE_BUFFER)
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(reading, "rb", buffering=0)
    )
    held.callback(transport.close)
    return reader, writing


async def _exit_code(channel: socket.socket) -> int | None:
    """None when the launcher closes the channel without a word."""
    answer = await asyncio.get_running_loop().sock_recv(channel, EXIT_CODE_BYTES)
    return int(answer) if answer else None


class _Launcher:
    """Our side of the launcher. It ends with this process, however that ends."""

    def __init__(self) -> None:
        self._control: socket.socket | None = None
        self._process: subprocess.Popen[bytes] | None = None

    def take(self, order: Order, stdout: int, stderr: int, channel: int) -> bool:
        """Whether the launcher took the order. When it did not, it is busy or has just died: try again."""
        try:
            orders.send(self.start(), order, stdout, stderr, channel)
        except (BlockingIOError, BrokenPipeError, ConnectionResetError):
            return False
        return True

    def start(self) -> socket.socket:
        """The socket for orders, of a launcher that is started unless it runs."""
        if self._control and self._process and self._process.poll() is None:
            return self._control
        self.stop()
        self._control, its_control = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._control.setblocking(False)
        with its_control:
            # Nobody waits until it is ready: orders do, in the socket.
            self._process = subprocess.Popen(
                [*LAUNCHER, str(its_control.fileno()), str(os.getpid()), str(Path.cwd())],
                cwd=ROOT,
                env=ENVIRONMENT,
                pass_fds=[its_control.fileno()],
                start_new_session=True,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
            )
        return self._control

    def stop(self) -> None:
        """End it and what it runs, and return when it is reaped."""
        if self._control:
            self._control.close()
        if self._process:
            self._process.wait()


_launcher = _Launcher()
atexit.register(_launcher.stop)


def warm_up() -> None:
    """Start the launcher now, so that the first file does not wait for it.

    To be called in the event loop's thread: the kernel ends the launcher with the thread that started it.
    """
    _launcher.start()
    means = sandbox.available()
    say = log.info if means.complete else log.warning
    say("sandbox", seccomp=means.seccomp, landlock=means.landlock)
