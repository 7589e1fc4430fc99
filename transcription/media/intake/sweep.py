"""Deletes the uploads that crashed processes left in our folder inside TEMP_DIR."""

from __future__ import annotations

import asyncio
import fcntl
import os
import stat
import time
from contextlib import suppress

import structlog

from transcription.core.settings import Settings
from transcription.media.intake.uploads_folder import UPLOAD_NAME, open_uploads
from transcription.system.private_folder import open_without_links
from transcription.telemetry.background import going_on

GRACE_SECONDS = 10.0  # an upload is created shortly before it is locked

TASK = "sweep"  # its name as a background task

log = structlog.get_logger(__name__)


def sweep(settings: Settings, now: float | None = None) -> list[str]:
    """Delete orphaned uploads, and return their names.

    An orphan is a file that has a name and the owner of our uploads, and that no process has locked. Everything else
    stays: it is not ours. An error with one file is logged, and the others are swept.

    now: seconds since the epoch; None for the current time.
    Raises ServiceUnavailable if the folder cannot be used.
    """
    moment = time.time() if now is None else now
    with open_uploads(settings) as folder:
        with os.scandir(folder) as entries:
            names = [entry.name for entry in entries]
        return [name for name in names if _swept(folder, name, moment)]


def _swept(folder: int, name: str, now: float) -> bool:
    """Whether the file was deleted."""
    if not UPLOAD_NAME.fullmatch(name):
        return False
    with going_on(TASK, file=name), suppress(FileNotFoundError):  # deleted by its process in the meantime
        if _is_orphan(folder, name, now):
            os.unlink(name, dir_fd=folder)
            return True
    return False


def _is_orphan(folder: int, name: str, now: float) -> bool:
    found = os.stat(name, dir_fd=folder, follow_symlinks=False)
    if not stat.S_ISREG(found.st_mode) or found.st_uid != os.geteuid():
        return False
    # The absolute age, so that files from before the clock was set back are deleted, too.
    return abs(now - found.st_mtime) > GRACE_SECONDS and not _is_locked(folder, name)


def _is_locked(folder: int, name: str) -> bool:
    descriptor = open_without_links(name, folder=folder)
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
        with going_on(TASK):
            removed = await asyncio.to_thread(sweep, settings)
            if removed:
                log.warning("orphans_removed", files=len(removed))
        await asyncio.sleep(settings.cleanup_interval)
