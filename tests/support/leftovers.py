"""What a service still holds of the requests that it has answered."""

from __future__ import annotations

import subprocess
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil  # type: ignore[import-untyped]

from tests.support.service import LocalService


def leftovers(service: LocalService, temp_dir: Path) -> list[str]:
    """Files in TEMP_DIR and decoder or probe processes of the service."""
    return [*map(str, files_under(temp_dir)), *media_processes(service)]


def files_under(folder: Path) -> list[Path]:
    """All files in a folder and the folders in it."""
    return [path for path in folder.rglob("*") if path.is_file()]


def media_processes(parent: LocalService | subprocess.Popen[Any]) -> list[str]:
    """Names of the media children of a service or of the command: those of its launchers."""
    names = []
    for child in decoders(parent):
        with suppress(psutil.NoSuchProcess):
            names.append(child.name())
    return names


def decoders(parent: LocalService | subprocess.Popen[Any]) -> list[psutil.Process]:
    """The media children of a service or of the command."""
    pid = parent.process.pid if isinstance(parent, LocalService) else parent.pid
    found = []
    for process in psutil.Process(pid).children(recursive=True):
        try:
            if "transcription.media.sandbox.launcher" in process.cmdline():
                found += process.children()
        except psutil.NoSuchProcess:
            continue
    return found
