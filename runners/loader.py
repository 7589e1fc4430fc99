"""Reads models into memory for the layout in use, and measures their size."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from runners.decode.engine import Engine
from runners.decode.model import open_model
from runners.placement import DeviceLayout, Placement
from transcription.core.errors import TranscriptionError
from transcription.system.thread_priority import lower_priority
from transcription.telemetry import metrics
from transcription.telemetry.process_metrics import GpuMetrics, resident_bytes


class ModelLoader:
    """Loads a copy of a model for each device.

    memory: bytes by name, of every model ever loaded. gpus: None if models are kept in main memory.
    """

    def __init__(self, placement: Placement, gpus: GpuMetrics | None) -> None:
        self.memory: dict[str, int] = {}
        self._placement = placement
        self._gpus = gpus
        self._layout: DeviceLayout
        self._layout_known = threading.Event()

    def use(self, layout: DeviceLayout) -> None:
        """Set the layout that models are loaded for. Until then `load` waits."""
        self._layout = layout
        self._layout_known.set()

    def load(self, name: str, folder: Path) -> tuple[Engine, ...]:
        """Load a model from its folder, an engine for each device of the placement. Raises ModelUnavailable."""
        self._layout_known.wait()
        started, held = time.perf_counter(), self._memory_held()
        try:
            open_on = partial(open_model, name, folder, self._placement, self._layout)
            # CTranslate2's threads inherit the priority of the thread that loads the model.
            with ThreadPoolExecutor(len(self._placement.numbers), initializer=lower_priority) as threads:
                engines = tuple(Engine(handle) for handle in threads.map(open_on, self._placement.numbers))
        except TranscriptionError:
            metrics.LOADS.labels(model=name, outcome="failed").inc()
            raise
        metrics.LOADS.labels(model=name, outcome="loaded").inc()
        metrics.LOAD_SECONDS.labels(model=name).observe(time.perf_counter() - started)
        # A model loaded again reuses memory that it freed before, so the largest difference is the true size.
        self.memory[name] = max(self.memory.get(name, 0), self._memory_held() - held)
        metrics.MODEL_MEMORY.labels(model=name).set(self.memory[name])
        return engines

    def _memory_held(self) -> int:
        """Bytes in use in the memory that holds the models."""
        return self._gpus.memory_used() if self._gpus else resident_bytes()
