"""A disk that can be filled without filling that of the machine."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

PIECE = 4096  # bytes


@contextlib.contextmanager
def small_disk(folder: Path, size: int) -> Iterator[bool]:
    """Mount a file system of `size` bytes on a folder while the context lasts. Gives False if that is not allowed."""
    command = ["mount", "-t", "tmpfs", "-o", f"size={size},mode=1777", "tmpfs", str(folder)]
    mounted = os.geteuid() == 0 and subprocess.run(command, check=False).returncode == 0
    folder.chmod(0o1777)
    try:
        yield mounted
    finally:
        if mounted:
            subprocess.run(["umount", "--lazy", folder], check=True)


@contextlib.contextmanager
def filled(folder: Path) -> Iterator[None]:
    """Leave nothing free on a small disk while the context lasts. folder: of `small_disk`."""
    assert folder.is_mount(), "this would fill the disk of the machine"
    filler = folder / "filler"
    try:
        with contextlib.suppress(OSError), filler.open("wb", buffering=0) as file:
            while file.write(bytes(PIECE)):
                pass
        yield
    finally:
        filler.unlink()
