"""Checks at start that the folders of the settings can be used."""

from __future__ import annotations

import os
from pathlib import Path

from transcription.core.settings import InvalidSettings, Settings


def check_folders(settings: Settings) -> None:
    """Create JOBS_DIR, if jobs are stored there, and CACHE_DIR.

    Both are in the home folder by default, which the user of a service may not have. Raises InvalidSettings, which
    names the settings to change. An existing CACHE_DIR that is read-only is accepted: the service can do without it.
    """
    problems = []
    stores_here = settings.job_backend == "sqlite" or (settings.enable_async and not settings.spool_url)
    if stores_here and (reason := _unusable(settings.jobs_dir, writable=True)):
        problems.append(_problem("JOBS_DIR", settings.jobs_dir, reason))
    if reason := _unusable(settings.cache_dir, writable=False):
        problems.append(_problem("CACHE_DIR", settings.cache_dir, reason))
    if problems:
        raise InvalidSettings("Invalid settings:\n" + "\n".join(problems))


def _problem(setting: str, folder: Path, reason: str) -> str:
    return (
        f"  {setting}={str(folder)!r}: {reason}. Set {setting} to a folder that the user of the service can write to."
    )


def _unusable(folder: Path, *, writable: bool) -> str:
    """Why the folder cannot be used, "" if it can."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        return f"it cannot be created ({error.strerror})"
    return "it cannot be written to" if writable and not os.access(folder, os.W_OK | os.X_OK) else ""
