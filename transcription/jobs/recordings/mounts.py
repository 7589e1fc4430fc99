"""Whether two paths are on the same mount, so that files can be renamed and linked from one to the other."""

from __future__ import annotations

import re
from pathlib import Path

MOUNTS = Path("/proc/self/mountinfo")  # of this process; the fifth field is the mount point


def disk_of(path: Path) -> tuple[int, str]:
    """The device number and mount point of a path, or of the closest parent that exists.

    Two mounts of one file system, such as two volumes of a container, are different: files cannot be renamed or linked
    between them.
    """
    path = path.resolve()
    existing = next(folder for folder in (path, *path.parents) if folder.exists())
    mounts = [_unescaped(line.split()[4]) for line in MOUNTS.read_text(errors="surrogateescape").splitlines()]
    return existing.stat().st_dev, max((mount for mount in mounts if path.is_relative_to(mount)), key=len, default="")


def _unescaped(mount: str) -> str:
    """In mountinfo blanks, line ends and backslashes are escaped as octal numbers, see proc(5)."""
    return re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), mount)
