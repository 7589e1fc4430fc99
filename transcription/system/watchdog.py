"""Has a process killed that stands still, so that its supervisor replaces it.

A process that was stopped (SIGSTOP), or in which an extension never gives back the interpreter's lock, cannot notice
that itself: neither its event loop nor its threads run. A second, tiny process does, see `watchdog_process`. The
watched one writes a byte to it every second, from its event loop.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Callable

import structlog

from transcription.system import watchdog_process
from transcription.system.watchdog_process import READY

BEAT_SECONDS = 1.0
STARTING = b"s"

log = structlog.get_logger(__name__)


class Watchdog:
    """Has this process killed when its event loop has stood still for `seconds`; 0 for never.

    is_ready: whether the process has finished its start; until then it may stand still for STARTING_FACTOR times as
        long.
    """

    def __init__(self, seconds: float, is_ready: Callable[[], bool]) -> None:
        self._seconds = seconds
        self._is_ready = is_ready
        self._process: subprocess.Popen[bytes] | None = None
        self._pipe = -1
        self._beating: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Start to be watched. Call in the event loop."""
        if self._seconds:
            self._beating = asyncio.create_task(self._beat())

    def stop(self) -> None:
        """Stop to be watched: the process may stand still while it ends."""
        if self._beating:
            self._beating.cancel()
        self._end()

    async def _beat(self) -> None:
        was_ready = False
        while True:
            was_ready = was_ready or self._is_ready()
            if not self._sent(READY if was_ready else STARTING):
                self._end()
                try:
                    self._begin()
                except OSError as error:  # out of memory or descriptors; the next beat tries again
                    log.warning("no_watchdog", reason=str(error))
            await asyncio.sleep(BEAT_SECONDS)

    def _sent(self, beat: bytes) -> bool:
        if not self._process or self._process.poll() is not None:
            return False
        try:
            os.write(self._pipe, beat)
        except (BrokenPipeError, BlockingIOError):  # the watchdog has ended, or stands still itself
            return False
        return True

    def _begin(self) -> None:
        reading, self._pipe = os.pipe()
        os.set_blocking(self._pipe, False)
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-S", watchdog_process.__file__, str(os.getpid()), str(self._seconds)],
                stdin=reading,
                stdout=subprocess.DEVNULL,
                start_new_session=True,  # what is sent to the group of the watched process does not reach it
                env={"LANG": "C.UTF-8"},
            )
        except OSError:
            os.close(self._pipe)
            raise
        finally:
            os.close(reading)

    def _end(self) -> None:
        if self._process:
            os.close(self._pipe)
            self._process.kill()
            self._process.wait()
            self._process = None
