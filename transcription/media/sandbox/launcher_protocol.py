"""Orders to the launcher, one message per process over a Unix socket with three or four descriptors; its reports."""

from __future__ import annotations

import json
import os
import socket
from dataclasses import dataclass

MESSAGE_BYTES = 1 << 16  # a command line of two paths and some options has less than 10 kB
# In place of a program: run `transcription.media.sandbox.inspect_streams` in the forked child.
INSPECT = "inspect_streams"
# Exit code of a child that could not be confined or could not execute its program. No ffmpeg returns it: its codes are
# 0, 1, 69, 123, and 255 or less by the number of an error.
NOT_STARTED = os.EX_OSERR  # 71
END_BYTES = 64
# The client's file in a confined process. A path to a descriptor, because not every ffmpeg accepts a number.
FILE_DESCRIPTOR = 3
FILE_PATH = f"/proc/self/fd/{FILE_DESCRIPTOR}"


@dataclass(frozen=True, slots=True)
class Order:
    """One process to start.

    program: path of an executable, or INSPECT.
    arguments: without the program's name.
    limits: as for `transcription.media.sandbox.confine.confine`.
    """

    program: str
    arguments: tuple[str, ...]
    limits: dict[str, int]


@dataclass(frozen=True, slots=True)
class Received:
    """An order with its descriptors, which the receiver closes.

    channel: for the exit code. If the sender closes its end, the process is to be killed.
    file: the client's file, the only one that the process can read; None for no sandbox, if it reads no such file.
    """

    order: Order
    stdout: int
    stderr: int
    channel: int
    file: int | None


@dataclass(frozen=True, slots=True)
class End:
    """The end of a process.

    code: its exit code, or the negative number of the signal that killed it.
    cpu_seconds: CPU time that it used, in user and kernel mode.
    """

    code: int
    cpu_seconds: float = 0.0

    def encode(self) -> bytes:
        """As a message of at most END_BYTES."""
        return f"{self.code} {self.cpu_seconds:.3f}".encode()

    @staticmethod
    def decode(message: bytes) -> End:
        """The end that was encoded."""
        code, cpu_seconds = message.split()
        return End(int(code), float(cpu_seconds))


def send(control: socket.socket, order: Order, stdout: int, stderr: int, channel: int, file: int | None = None) -> None:
    """Send an order with its descriptors, see `Received`.

    Raises BlockingIOError while too many are waiting, BrokenPipeError if the launcher has ended.
    """
    message = json.dumps([order.program, order.arguments, order.limits, file is not None]).encode()
    socket.send_fds(control, [message], [stdout, stderr, channel, *(() if file is None else (file,))])


def receive(control: socket.socket) -> Received | None:
    """The next order; None once the sender has closed the socket.

    Raises BlockingIOError if no descriptors are left to receive it with; the order is then lost.
    """
    message, descriptors, _, _ = socket.recv_fds(control, MESSAGE_BYTES, 4)
    if not message:
        return None
    program, arguments, limits, has_file = json.loads(message)
    if len(descriptors) < 3 + has_file:
        for descriptor in descriptors:
            os.close(descriptor)
        raise BlockingIOError("no descriptor left")
    stdout, stderr, channel, *file = descriptors
    return Received(Order(program, tuple(arguments), limits), stdout, stderr, channel, file[0] if file else None)
