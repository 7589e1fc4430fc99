"""Confined child processes for untrusted input: limited, without this process's environment, killed when not needed.

A launcher forks them, see `transcription.media.sandbox.launcher`. This process has one launcher, which is started on
first use and again after it has died.
"""

from __future__ import annotations

import asyncio
import atexit
import os
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import ExitStack, asynccontextmanager, suppress
from pathlib import Path

import structlog

from transcription.core.errors import ServiceUnavailable
from transcription.media.sandbox import launcher_protocol as orders
from transcription.media.sandbox import sandbox
from transcription.media.sandbox.launcher_protocol import End, Order

ROOT = Path(__file__).resolve().parents[3]
# Like -I, which would also hide this project's packages.
LAUNCHER = (sys.executable, "-E", "-s", "-m", "transcription.media.sandbox.launcher")
OPEN_FILES = 64
# Counts all of the user's processes, so it only stops a fork bomb. With seccomp, no process can be started anyway.
PROCESSES = 8192
PIPE_BUFFER = 1 << 16  # bytes that asyncio reads ahead; beyond that the pipe fills and the child blocks
# An answer takes milliseconds, so a launcher that is silent for twice as long has been stopped, by SIGSTOP, say.
ANSWER_SECONDS = 10.0
STOP_SECONDS = 5.0  # until a launcher that should end is killed
BUSY_SECONDS = 0.005  # until a launcher with a full queue, about 100 orders, has taken a few
# Of the launcher. Nothing is inherited: a decoder needs no secrets, and would honour LD_* or FFREPORT.
ENVIRONMENT = {"LANG": "C.UTF-8", "PATH": os.defpath}


log = structlog.get_logger(__name__)


def limits(memory: int, cpu_seconds: int) -> dict[str, int]:
    """Resource limits of a child that reads one file and writes to a pipe. memory: address space in bytes."""
    return {"AS": memory, "CPU": cpu_seconds, "FSIZE": 0, "CORE": 0, "NOFILE": OPEN_FILES, "NPROC": PROCESSES}


class Process:
    """A confined process: its output and its end."""

    def __init__(
        self,
        stdout: asyncio.StreamReader,
        stderr: asyncio.StreamReader,
        channel: socket.socket,
        launcher: subprocess.Popen[bytes],
        held: ExitStack,
    ) -> None:
        self.stdout = stdout
        self.stderr = stderr
        self._channel = channel
        self._launcher = launcher
        self._held = held
        self._end = asyncio.create_task(_end(channel))

    async def wait(self) -> End:
        """How it ended. Call once its output has ended, or after `kill`.

        Raises ServiceUnavailable if the process could not be started, or its launcher has ended or does not answer.
        """
        await asyncio.wait((self._end,), timeout=ANSWER_SECONDS)
        if not self._end.done():
            self.kill()
            await asyncio.wait((self._end,), timeout=ANSWER_SECONDS)
        if not self._end.done():
            log.error("launcher_does_not_answer", pid=self._launcher.pid)
            self._launcher.kill()  # which kills its processes and closes the channel; the next file starts another one
        end = await asyncio.shield(self._end)
        if end is None:
            raise ServiceUnavailable("The decoder was stopped. Try again.", "the launcher of media processes has ended")
        return end

    def kill(self) -> None:
        """Have the process killed unless it has ended."""
        with suppress(OSError):  # the launcher has closed the channel
            self._channel.shutdown(socket.SHUT_WR)

    async def end(self) -> None:
        """Kill the process unless it has ended, and wait until it is reaped."""
        with self._held:
            self.kill()
            with suppress(ServiceUnavailable):
                await self.wait()


@asynccontextmanager
async def confined(
    command: Sequence[str], resources: dict[str, int], file: int | None = None
) -> AsyncIterator[Process]:
    """Run `command`, the path of a program with its arguments. It is killed and reaped when the context ends.

    resources: from `limits`. file: descriptor of the client's file, the only one that the command can read, at
    `launcher_protocol.FILE_PATH`; None for no sandbox.
    """
    async with _run(Order(command[0], tuple(command[1:]), resources), file) as process:
        yield process


@asynccontextmanager
async def inspecting(file: int, demuxer: str, resources: dict[str, int], skip: int = 0) -> AsyncIterator[Process]:
    """Run `transcription.media.sandbox.inspect_streams.describe`, which writes JSON. Otherwise like `confined`.

    skip: bytes of junk at the start of the file.
    """
    async with _run(Order(orders.INSPECT, (demuxer, str(skip)), resources), file) as process:
        yield process


@asynccontextmanager
async def _run(order: Order, file: int | None) -> AsyncIterator[Process]:
    with ExitStack() as held:
        channel, its_channel = socket.socketpair()
        held.enter_context(channel)
        channel.setblocking(False)
        with its_channel, ExitStack() as its_pipes:
            stdout, its_stdout = await _pipe(held, its_pipes)
            stderr, its_stderr = await _pipe(held, its_pipes)
            while not (launcher := _launcher.take(order, its_stdout, its_stderr, its_channel.fileno(), file)):
                await asyncio.sleep(BUSY_SECONDS)
        process = Process(stdout, stderr, channel, launcher, held.pop_all())
    try:
        yield process
    finally:
        # Shielded, so that a second cancellation cannot leave a process behind.
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


async def _end(channel: socket.socket) -> End | None:
    """The end of a process; None if the launcher closes the channel without reporting one."""
    with suppress(ConnectionResetError):
        if answer := await asyncio.get_running_loop().sock_recv(channel, orders.END_BYTES):
            return End.decode(answer)
    return None


class _Launcher:
    """This process's launcher, which ends with it in any case."""

    def __init__(self) -> None:
        self._control: socket.socket | None = None
        self._process: subprocess.Popen[bytes] | None = None

    def take(
        self, order: Order, stdout: int, stderr: int, channel: int, file: int | None
    ) -> subprocess.Popen[bytes] | None:
        """The launcher's process that took the order.

        None if it is busy or has just died, and the caller should try again.
        """
        try:
            orders.send(self.start(), order, stdout, stderr, channel, file)
        except (BlockingIOError, BrokenPipeError, ConnectionResetError):
            return None
        return self._process

    def start(self) -> socket.socket:
        """The socket for orders. Starts the launcher unless it is running."""
        if self._control and self._process and self._process.poll() is None:
            return self._control
        self.stop()
        self._control, its_control = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._control.setblocking(False)
        with its_control:
            # No need to wait until it is ready: orders wait in the socket.
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
        """Stop the launcher and its processes, and wait until it is reaped."""
        if self._control:
            self._control.close()
        if not self._process:
            return
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:  # it is stopped itself
            self._process.kill()
            self._process.wait()


_launcher = _Launcher()
atexit.register(_launcher.stop)


def warm_up() -> None:
    """Start the launcher now, so that the first file does not wait for it.

    Call in the thread of the event loop: the kernel ends the launcher with the thread that started it.
    """
    _launcher.start()
    support = sandbox.available()
    write = log.info if support.complete else log.warning
    write("sandbox", seccomp=support.seccomp, landlock=support.landlock)
