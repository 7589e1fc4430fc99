"""Process metrics: memory, CPU time and descriptors of a process, memory of its GPUs and container, space on disks.

Unlike events, which are counted as they happen, these have to be sampled, every INTERVAL_SECONDS.
"""

from __future__ import annotations

import asyncio
import os
import shutil
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pynvml

from transcription.system.cgroup_memory import read_memory
from transcription.telemetry import metrics
from transcription.telemetry.background import going_on
from transcription.telemetry.metrics import forget_dead_processes

API, RUNNER, WORKER = "api", "runner", "worker"  # values of the label `process`
TASK = "process_metrics"  # the name of `update_regularly` as a background task
INTERVAL_SECONDS = 5.0  # between two samples
PERCENT = 100


class ProcessMetrics:
    """Memory, CPU time and descriptors of this process. name: API, RUNNER or WORKER."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._process = psutil.Process()
        self._counted = 0.0  # CPU seconds already added to the counter

    def update(self) -> None:
        """Sample the process and set its metrics."""
        with self._process.oneshot():
            times = self._process.cpu_times()
            used = times.user + times.system
            metrics.CPU_SECONDS.labels(process=self._name).inc(max(0.0, used - self._counted))
            self._counted = used
            metrics.RESIDENT.labels(process=self._name).set(self._process.memory_info().rss)
            metrics.DESCRIPTORS.labels(process=self._name).set(self._process.num_fds())


def resident_bytes() -> int:
    """Resident memory of this process, in bytes."""
    return int(psutil.Process().memory_info().rss)


class GpuMetrics:
    """Memory and utilisation of the GPUs that this process sees, from NVML; of none if its library is missing."""

    def __init__(self) -> None:
        self._gpus = _gpus()

    def update(self) -> None:
        """Sample every GPU and set its metrics."""
        for number, gpu in enumerate(self._gpus):
            with suppress(pynvml.NVMLError):  # a GPU that was lost, or a MIG instance, which reports only some values
                memory = pynvml.nvmlDeviceGetMemoryInfo(gpu)
                metrics.GPU_MEMORY_USED.labels(gpu=str(number)).set(memory.used)
                metrics.GPU_MEMORY.labels(gpu=str(number)).set(memory.total)
                busy = pynvml.nvmlDeviceGetUtilizationRates(gpu).gpu
                metrics.GPU_BUSY.labels(gpu=str(number)).set(busy / PERCENT)

    def memory_used(self) -> int:
        """Bytes used on all GPUs together; 0 if one of them does not answer."""
        try:
            return sum(int(pynvml.nvmlDeviceGetMemoryInfo(gpu).used) for gpu in self._gpus)
        except pynvml.NVMLError:
            return 0


def _gpus() -> list[Any]:
    try:
        pynvml.nvmlInit()
        return [pynvml.nvmlDeviceGetHandleByIndex(index) for index in range(pynvml.nvmlDeviceGetCount())]
    except pynvml.NVMLError:
        return []


def update_memory() -> None:
    """Set the metric of the container's memory, or the machine's; leave it unset if neither can be read."""
    if memory := read_memory():
        metrics.MEMORY_USED.set(memory.ratio)


def update_disk(name: str, folder: Path) -> None:
    """Set the metrics of the disk that a folder is on. name: the value of the label `folder`. Raises OSError."""
    usage = shutil.disk_usage(folder)
    metrics.DISK_FREE.labels(folder=name).set(usage.free)
    metrics.DISK_SIZE.labels(folder=name).set(usage.total)


async def update_regularly(process_name: str, folders: dict[str, Path]) -> None:
    """Update all metrics of this module every INTERVAL_SECONDS, and drop the gauges of processes that have died.

    process_name: API, RUNNER or WORKER. folders: by the value of the label `folder`. Runs until it is cancelled.
    """
    process = ProcessMetrics(process_name)
    metrics_folder = os.environ.get("PROMETHEUS_MULTIPROC_DIR")  # set by BentoML
    while True:
        with going_on(TASK):
            process.update()
        with going_on(TASK):
            update_memory()
        for name, folder in folders.items():
            with going_on(TASK, folder=name):
                await asyncio.to_thread(update_disk, name, folder)
        if metrics_folder:
            with going_on(TASK):
                await asyncio.to_thread(forget_dead_processes, Path(metrics_folder))
        await asyncio.sleep(INTERVAL_SECONDS)
