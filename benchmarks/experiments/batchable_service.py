"""A service with BentoML's dispatcher whose batches take as long as those of a model; started by `batchable.py`.

MAX_LATENCY_MS (60000): the dispatcher's limit for the wait of a request.
"""

from __future__ import annotations

import os
import threading
import time

import bentoml

CALL_SECONDS, WINDOW_SECONDS = 0.3, 0.1  # per batch and per window in it, the typical cost of a device
MAX_BATCH = 16


@bentoml.service(workers=1, traffic={"timeout": 300, "max_concurrency": 1000})
class BatchableService:
    """One method, which sleeps as long as a device would compute."""

    def __init__(self) -> None:
        self._running = 0
        self._lock = threading.Lock()

    @bentoml.api(
        batchable=True, max_batch_size=MAX_BATCH, max_latency_ms=int(os.environ.get("MAX_LATENCY_MS", "60000"))
    )
    def work(self, numbers: list[int]) -> list[list[int]]:
        """For each number: the size of its batch, and the number of batches running then."""
        with self._lock:
            self._running += 1
            at_once = self._running
        time.sleep(CALL_SECONDS + WINDOW_SECONDS * len(numbers))
        with self._lock:
            self._running -= 1
        return [[len(numbers), at_once] for _ in numbers]
