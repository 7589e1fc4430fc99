"""Full disks: which errors mean one, and space that is reserved before it is written."""

from __future__ import annotations

import errno

# The last one: a file may not grow any further because of a limit of the process or of the file system.
FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


def is_full(error: OSError) -> bool:
    """Whether there was no space left: on the disk, in a quota, or within the largest size of a file."""
    return error.errno in FULL
