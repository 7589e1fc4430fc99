"""A service whose batches cost what a model's do, on BentoML's own dispatcher. `batchable.py` starts it.

MAX_LATENCY_MS (60000): what the dispatcher may let a request wait.
"""

from __future__ import annotations

import os
import threading
import time

import bentoml

CALL_SECONDS, WINDOW_SECONDS = 0.3, 0.1  # of every batch, and of every window in it: the shape of a device's cost
MAX_BATCH = 16


@bentoml.service(workers=1, traffic={"timeout": 300, "max_concurrency": 1000})
class BatchableService:
    """One method, which sleeps as long as a device would work."""

    def __init__(self) -> None:
        self._running = 0
        self._lock = threading.Lock()

    @bentoml.api(
        batchable=True, max_batch_size=MAX_BATCH, max_latency_ms=int(os.environ.get("MAX_LATENCY_MS", "60000"))
    )
    def work(self, numbers: list[int]) -> list[list[int]]:
        """For each number: the size of its batch, and how many batches ran at once."""
        with self._lock:
            self._running += 1
            at_once = self._running
        time.sleep(CALL_SECONDS + WINDOW_SECONDS * len(numbers))
        with self._lock:
            self._running -= 1
        return [[len(numbers), at_once] for _ in numbers]
