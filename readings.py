"""Figures that have to be looked at: what a process holds, and how full the disks are."""

from __future__ import annotations

import resource
import shutil
import time
from collections.abc import Mapping
from pathlib import Path

import metrics
from pressure import read_memory

API, RUNNER = "api", "runner"
INTERVAL_SECONDS = 5.0  # between two looks


class ProcessReading:
    """Memory, CPU time and descriptors of this process. name: API or RUNNER."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._counted = 0.0  # CPU seconds that were told

    def take(self) -> None:
        """Look, and tell Prometheus."""
        used = time.process_time()
        metrics.CPU_SECONDS.labels(process=self._name).inc(used - self._counted)
        self._counted = used
        statm = Path("/proc/self/statm")
        if statm.exists():  # Linux
            pages = int(statm.read_text().split()[1])
            metrics.RESIDENT.labels(process=self._name).set(pages * resource.getpagesize())
            metrics.DESCRIPTORS.labels(process=self._name).set(sum(1 for _ in Path("/proc/self/fd").iterdir()))


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
