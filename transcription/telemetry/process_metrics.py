"""Figures that have to be looked at: what a process and a GPU hold, and how full the disks are."""

from __future__ import annotations

import asyncio
import os
import resource
import shutil
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import pynvml

from transcription.system.cgroup_memory import read_memory
from transcription.telemetry import metrics
from transcription.telemetry.metrics import forget_dead_processes

API, RUNNER, WORKER = "api", "runner", "worker"
INTERVAL_SECONDS = 5.0  # between two looks
PERCENT = 100


class ProcessReading:
    """Memory, CPU time and descriptors of this process. name: API, RUNNER or WORKER."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._counted = 0.0  # CPU seconds that were told

    def take(self) -> None:
        """Look, and tell Prometheus."""
        used = time.process_time()
        metrics.CPU_SECONDS.labels(process=self._name).inc(used - self._counted)
        self._counted = used
        if resident := resident_bytes():
            metrics.RESIDENT.labels(process=self._name).set(resident)
            metrics.DESCRIPTORS.labels(process=self._name).set(sum(1 for _ in Path("/proc/self/fd").iterdir()))


def resident_bytes() -> int:
    """Memory of this process; 0 where the system does not say."""
    statm = Path("/proc/self/statm")
    if not statm.exists():  # not Linux
        return 0
    return int(statm.read_text().split()[1]) * resource.getpagesize()


class GpuReading:
    """The GPUs that this process sees, by NVML; none where its library is missing."""

    def __init__(self) -> None:
        self._gpus = _gpus()

    def take(self) -> None:
        """Look, and tell Prometheus."""
        for number, gpu in enumerate(self._gpus):
            with suppress(pynvml.NVMLError):  # one that is lost, or a share of one, which does not tell all
                memory = pynvml.nvmlDeviceGetMemoryInfo(gpu)
                metrics.GPU_MEMORY_USED.labels(gpu=str(number)).set(memory.used)
                metrics.GPU_MEMORY.labels(gpu=str(number)).set(memory.total)
                busy = pynvml.nvmlDeviceGetUtilizationRates(gpu).gpu
                metrics.GPU_BUSY.labels(gpu=str(number)).set(busy / PERCENT)

    def memory_used(self) -> int:
        """Bytes used on all of them; 0 when one does not say."""
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


def take_memory() -> None:
    """How full the memory of the container is."""
    if memory := read_memory():
        metrics.MEMORY_USED.set(memory.ratio)


def take_disks(folders: Mapping[str, Path]) -> None:
    """How full the disks of these folders are."""
    for name, folder in folders.items():
        usage = shutil.disk_usage(folder)
        metrics.DISK_FREE.labels(folder=name).set(usage.free)
        metrics.DISK_SIZE.labels(folder=name).set(usage.total)


async def read_for_ever(name: str, folders: dict[str, Path]) -> None:
    """Tell Prometheus what this process holds, and forget processes that died.

    name: of the process, `readings.API` or another. folders: by the name under which Prometheus is told of their disk.
    """
    process = ProcessReading(name)
    metrics_folder = os.environ.get("PROMETHEUS_MULTIPROC_DIR")  # set by BentoML
    while True:
        process.take()
        take_memory()
        await asyncio.to_thread(take_disks, folders)
        if metrics_folder:
            await asyncio.to_thread(forget_dead_processes, Path(metrics_folder))
        await asyncio.sleep(INTERVAL_SECONDS)
