"""Metrics and log entries of the runner: events of the device, and figures that are sampled."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence, Set
from functools import partial

import structlog
from bentoml import server_context

from runners.batching.device import Load
from runners.client.interface import RUNNER_NAME
from transcription.telemetry import metrics
from transcription.telemetry.background import going_on
from transcription.telemetry.process_metrics import INTERVAL_SECONDS, RUNNER, GpuMetrics, ProcessMetrics

log = structlog.get_logger(__name__)


class DeviceMetrics:
    """Implements `runners.batching.device.Events`.

    numbers: of the GPUs in use, (0,) for a CPU. cores: CPU cores this process may use.
    loaded: names of the models in memory. model_memory: bytes by name, of every model that was ever loaded.
    on_hang: called once when a batch has not ended within its deadline.
    """

    def __init__(
        self,
        numbers: Sequence[int],
        cores: int,
        gpus: GpuMetrics | None,
        loaded: Callable[[], Set[str]],
        model_memory: Mapping[str, int],
        on_hang: Callable[[], None],
    ) -> None:
        self._numbers = numbers
        self._cores = cores
        self._gpus = gpus
        self._loaded = loaded
        self._model_memory = model_memory
        self._on_hang = on_hang

    def batch_formed(self, windows: int, max_batch: int, gpu: int) -> None:
        """Count a batch, and observe its size, in BentoML's own metric, too."""
        metrics.BATCH_SIZE.labels(
            runner_name=RUNNER_NAME,
            worker_index=server_context.worker_index,
            method_name="transcribe",
            service_version=server_context.bento_version,
            service_name=server_context.bento_name,
        ).observe(windows)
        metrics.BATCH_FILL.observe(windows / max_batch)
        metrics.BATCHES.labels(device=str(self._numbers[gpu])).inc()

    def ran_out_of_memory(self, model: str) -> None:
        """Count and log that the device ran out of memory; batches are halved for a while."""
        metrics.OUT_OF_MEMORY.labels(model=model).inc()
        log.warning("device_out_of_memory", model=model)

    def hung(self, model: str, seconds: float) -> None:
        """Log that a batch exceeded its deadline, and call `on_hang`. seconds: since the batch started."""
        log.critical("device_hangs", model=model, seconds=round(seconds))
        self._on_hang()

    def export_until(self, stopping: threading.Event, load: Callable[[], Load]) -> None:
        """Sample the load, the models and this process every INTERVAL_SECONDS. Blocks until `stopping` is set."""
        process = ProcessMetrics(RUNNER)
        metrics.CORES.set(self._cores)
        while not stopping.is_set():
            for update in (partial(self._export_load, load), self._export_models, process.update, self._export_gpus):
                with going_on("metrics"):
                    update()
            stopping.wait(INTERVAL_SECONDS)

    def _export_gpus(self) -> None:
        if self._gpus:
            self._gpus.update()

    def _export_load(self, read: Callable[[], Load]) -> None:
        load = read()
        metrics.WAITING_WINDOWS.set(load.waiting)
        metrics.RUNNING_BATCHES.set(load.running)
        metrics.BACKLOG.set(load.backlog)
        metrics.LONGEST_WAIT.set(load.longest_wait)

    def _export_models(self) -> None:
        loaded = self._loaded()
        metrics.LOADED.set(len(loaded))
        for name, size in list(self._model_memory.items()):
            metrics.MODEL_MEMORY.labels(model=name).set(size if name in loaded else 0)
