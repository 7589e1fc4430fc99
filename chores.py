"""What every process that works on recordings does beside, for as long as it runs."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import structlog

from media.sweep import sweep
from metrics import forget_dead_processes
from readings import INTERVAL_SECONDS, ProcessReading, take_disks, take_memory
from settings import Settings

log = structlog.get_logger(__name__)


async def sweep_for_ever(settings: Settings) -> None:
    """Remove orphans from TEMP_DIR now and every CLEANUP_INTERVAL."""
    while True:
        removed = await asyncio.to_thread(sweep, settings.temp_dir, settings.cleanup_interval)
        if removed:
            log.warning("orphans_removed", files=len(removed))
        await asyncio.sleep(settings.cleanup_interval)


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
