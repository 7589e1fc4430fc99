"""Child processes for hostile input: limited, without our environment, gone when we are done."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

CONFINE = Path(__file__).with_name("confine.py")
OPEN_FILES = 64
PIPE_BUFFER = 1 << 16  # bytes that asyncio reads ahead of us; the rest waits in the pipe and stops the child
# Nothing of ours: a decoder needs no secrets, and LD_* or FFREPORT in it would be read.
ENVIRONMENT = {"LANG": "C.UTF-8", "PATH": os.defpath}


def limits(memory: int, cpu_seconds: int) -> dict[str, int]:
    """Resource limits of a child that reads one file and writes to a pipe. memory: address space, bytes."""
    return {"AS": memory, "CPU": cpu_seconds, "FSIZE": 0, "CORE": 0, "NOFILE": OPEN_FILES}


@asynccontextmanager
async def confined(command: Sequence[str], resources: dict[str, int]) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run `command` (absolute path first) with stdout and stderr as pipes; on every way out it is killed and reaped."""
    wrapper = [sys.executable, "-I", "-S", str(CONFINE), json.dumps(resources), str(os.getpid())]
    process = await asyncio.create_subprocess_exec(
        *wrapper,
        *command,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=ENVIRONMENT,
        limit=PIPE_BUFFER,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        # Shielded: a second cancellation must not leave a zombie.
        await asyncio.shield(_end(process))


async def _end(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):  # it ended by itself just now
            os.killpg(process.pid, signal.SIGKILL)
    # Pipes are drained so that the transport closes and its file descriptors with it.
    await asyncio.gather(*(stream.read() for stream in (process.stdout, process.stderr) if stream))
    await process.wait()
