"""Returns the memory of a busy time once it is over.

Under load the same memory is used again and again, and looking for garbage would stop the event loop.
"""

from __future__ import annotations

import asyncio
import time

from transcription.system.malloc import give_memory_back

TASK = "memory"  # the name of `give_memory_back_when_quiet` as a background task
INTERVAL_SECONDS = 5.0
QUIET_SHARE = 0.1  # of a core
WORTHWHILE_SECONDS = 5.0  # of CPU time since the last time


class QuietTimes:
    """Tells when a busy time is over. cpu: CPU seconds that the process has used so far."""

    def __init__(self, cpu: float) -> None:
        self._latest = self._handled = cpu

    def has_come(self, cpu: float) -> bool:
        """Whether the process is quiet after much work. To be called every INTERVAL_SECONDS."""
        quiet = cpu - self._latest < QUIET_SHARE * INTERVAL_SECONDS
        self._latest = cpu
        if not quiet or cpu - self._handled < WORTHWHILE_SECONDS:
            return False
        self._handled = cpu
        return True


async def give_memory_back_when_quiet() -> None:
    """Return memory after each busy time. Runs until it is cancelled."""
    times = QuietTimes(time.process_time())
    while True:
        await asyncio.sleep(INTERVAL_SECONDS)
        if times.has_come(time.process_time()):
            give_memory_back()
