"""Full disks: which errors mean one, and space that is reserved for a file before it is written."""

from __future__ import annotations

import ctypes
import errno
import os
import threading
from collections import Counter

# The last one: a file may not grow any further because of a limit of the process or of the file system.
FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
UNSUPPORTED = frozenset({errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL})
KEEP_SIZE = 1  # linux/falloc.h: allocate blocks, and leave the file as long as it is

_libc = ctypes.CDLL(None, use_errno=True)
_lock = threading.Lock()
_promised: Counter[int] = Counter()  # bytes by device, on file systems that cannot allocate them


def is_full(error: OSError) -> bool:
    """Whether there was no space left: on the disk, in a quota, or within the largest size of a file."""
    return error.errno in FULL


def free_space(descriptor: int) -> int:
    """Bytes that this user can still write to the disk of an open file or folder, without what is reserved."""
    found = os.fstatvfs(descriptor)
    return found.f_bavail * found.f_frsize - _promised[os.fstat(descriptor).st_dev]


class Space:
    """Space on the disk for one file that is open for writing.

    What is reserved counts as used for every program on the machine: the file system allocates it. On one that cannot,
    it counts for this process only.

    keep_free: bytes that must stay free, besides what is reserved.
    """

    def __init__(self, descriptor: int, keep_free: int) -> None:
        self._descriptor = descriptor
        self._keep_free = keep_free
        self._device = os.fstat(descriptor).st_dev
        self._reserved = 0
        self._promised = 0
        self._written = 0

    def reserve(self, size: int) -> None:
        """Reserve `size` bytes for the whole file. Raises OSError (ENOSPC) if there is not enough space."""
        with _lock:
            self._check(size)
            if not _allocated(self._descriptor, size):
                self._promised = size
                _promised[self._device] += size
            self._reserved = size

    def before_write(self, size: int) -> None:
        """Check that `size` more bytes can be written. Raises OSError (ENOSPC)."""
        self._written += size
        with _lock:
            if self._written > self._reserved:
                self._check(size)
            self._redeem(size)

    def release(self) -> None:
        """Give back what was reserved and not written."""
        if self._reserved > self._written:
            os.ftruncate(self._descriptor, self._written)
        self.forget()

    def forget(self) -> None:
        """As `release`, for a file that is deleted."""
        with _lock:
            self._redeem(self._promised)

    def _check(self, size: int) -> None:
        free = free_space(self._descriptor)
        if free - size < self._keep_free:
            detail = f"{max(0, free)} bytes are free, {size} are needed beside MIN_FREE_DISK, {self._keep_free}"
            raise OSError(errno.ENOSPC, detail)

    def _redeem(self, size: int) -> None:
        used = min(size, self._promised)
        self._promised -= used
        _promised[self._device] -= used


def _allocated(descriptor: int, size: int) -> bool:
    """Whether the file system has allocated the space; False if it cannot. Raises OSError."""
    if not size or _libc.fallocate(descriptor, KEEP_SIZE, ctypes.c_long(0), ctypes.c_long(size)) == 0:
        return True
    code = ctypes.get_errno()
    if code in UNSUPPORTED:
        return False
    raise OSError(code, os.strerror(code))
