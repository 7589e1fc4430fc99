"""Deletes the files that crashed processes left in TEMP_DIR."""

from __future__ import annotations

import asyncio
import fcntl
import os
import shutil
import time
from pathlib import Path

import structlog

from transcription.core.settings import Settings
from transcription.media.intake.upload import UPLOAD_PREFIX

log = structlog.get_logger(__name__)

GRACE_SECONDS = 10.0  # an upload is created shortly before it is locked


def sweep(folder: Path, max_age: float, now: float | None = None) -> list[Path]:
    """Delete orphans in `folder` and return them.

    An upload is an orphan if no process has locked it. Anything else, such as the files of BentoML's own routes, is an
    orphan if it was last modified more than `max_age` seconds ago.

    now: seconds since the epoch; None for the current time.
    """
    if not folder.is_dir():
        return []
    moment = time.time() if now is None else now
    orphans = [path for path in folder.iterdir() if _is_orphan(path, max_age, moment)]
    for path in orphans:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
    return orphans


def _is_orphan(path: Path, max_age: float, now: float) -> bool:
    try:
        age = now - path.lstat().st_mtime
        if path.name.startswith(UPLOAD_PREFIX):
            return age > GRACE_SECONDS and not _is_locked(path)
        return age > max_age
    except FileNotFoundError:
        return False  # deleted by its process in the meantime


def _is_locked(path: Path) -> bool:
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


async def sweep_regularly(settings: Settings) -> None:
    """Delete orphans in TEMP_DIR now and every CLEANUP_INTERVAL seconds. Runs until it is cancelled."""
    while True:
        removed = await asyncio.to_thread(sweep, settings.temp_dir, settings.cleanup_interval)
        if removed:
            log.warning("orphans_removed", files=len(removed))
        await asyncio.sleep(settings.cleanup_interval)
