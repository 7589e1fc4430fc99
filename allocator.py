"""The C allocator's thresholds, set once a process."""

from __future__ import annotations

import ctypes

# glibc, malloc.h. Its own thresholds rise with the largest block ever freed, after which arrays of some megabytes come
# from the heap, fragment it and are never given back: 260 MB after an hour of audio instead of 130 MB.
M_TRIM_THRESHOLD = -1
M_MMAP_THRESHOLD = -3
THRESHOLD_BYTES = 1 << 20


def give_memory_back_early() -> bool:
    """Give every freed block of a megabyte or more back to the system. False where the C library is not glibc."""
    libc = ctypes.CDLL(None)
    if not hasattr(libc, "mallopt"):
        return False
    settings = (M_MMAP_THRESHOLD, M_TRIM_THRESHOLD)
    return all(libc.mallopt(name, THRESHOLD_BYTES) == 1 for name in settings)
