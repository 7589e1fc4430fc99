"""A Celery worker that takes a fixed time per window: `celery -A benchmarks.fixed_cost_worker worker`.

Measures how throughput scales with workers on a machine with fewer cores than workers.
"""

from __future__ import annotations

import asyncio
import os

from runners.client.interface import RunnerState
from transcription.core.audio import Window
from transcription.core.options import DecodeOptions, Ticket
from transcription.core.settings import Settings
from transcription.core.transcript import WindowResult
from transcription.jobs.cluster import celery
from transcription.jobs.cluster.worker_process import WorkerProcess

WINDOW_SECONDS = float(os.environ.get("FIXED_WINDOW_SECONDS", "0.5"))


class FixedCostRunner:
    """One window at a time, WINDOW_SECONDS each, without a model. Transcripts are empty."""

    def __init__(self, _: Settings) -> None:
        self._device = asyncio.Lock()

    def start(self) -> None:
        """There is no model to load."""

    def stop(self) -> None:
        """There is nothing to stop."""

    async def transcribe(self, window: Window, options: DecodeOptions, ticket: Ticket) -> WindowResult:
        """An empty result, after WINDOW_SECONDS."""
        async with self._device:
            await asyncio.sleep(WINDOW_SECONDS)
        return WindowResult(options.language or "en", 1.0, ())

    async def state(self) -> RunnerState:
        """Always ready."""
        return RunnerState(True, "none", "none", ())


app = celery.app
celery.process = WorkerProcess(celery.settings, FixedCostRunner)
