"""What this process asks of its launcher: one message over a Unix socket, with three descriptors."""

from __future__ import annotations

import json
import os
import socket
from dataclasses import dataclass

MESSAGE_BYTES = 1 << 16  # a command line of ours has less than 10 kB: two paths and some options
# the one program that is no file: `transcription.media.sandbox.inspect_streams`, in the forked launcher
INSPECT = "inspect_streams"


@dataclass(frozen=True, slots=True)
class Order:
    """One process to start.

    program: path of an executable, or INSPECT. arguments: what follows the program's name.
    limits: as `transcription.media.sandbox.confine.confine` takes them. file: of a client, the only one that the
    process shall be able to
    read; None for a process that reads none and needs no sandbox.
    """

    program: str
    arguments: tuple[str, ...]
    limits: dict[str, int]
    file: str | None = None


@dataclass(frozen=True, slots=True)
class Received:
    """An order with its descriptors, which the receiver closes.

    channel: carries the exit code back; when the other side closes it, nobody wants the process any more.
    """

    order: Order
    stdout: int
    stderr: int
    channel: int


def send(control: socket.socket, order: Order, stdout: int, stderr: int, channel: int) -> None:
    """Order a process. Raises BlockingIOError while too many orders wait, BrokenPipeError without a launcher."""
    message = json.dumps([order.program, order.arguments, order.limits, order.file]).encode()
    socket.send_fds(control, [message], [stdout, stderr, channel])


def receive(control: socket.socket) -> Received | None:
    """The next order, None at the end of all orders.

    Raises BlockingIOError, having consumed the order, when there is no descriptor left to receive it with.
    """
    message, descriptors, _, _ = socket.recv_fds(control, MESSAGE_BYTES, 3)
    if not message:
        return None
    if len(descriptors) < 3:
        for descriptor in descriptors:
            os.close(descriptor)
        raise BlockingIOError("no descriptor left")
    program, arguments, limits, file = json.loads(message)
    return Received(Order(program, tuple(arguments), limits, file), *descriptors)
