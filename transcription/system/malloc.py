"""Settings of the allocators, which differ between the API's process and the model's.

The API holds audio briefly and must stay small; the model's process allocates the same large blocks again and again and
must not pay for fresh pages every time.
"""

from __future__ import annotations

import ctypes
import gc

# glibc, malloc.h. Its own thresholds rise with the largest block ever freed, after which arrays of some megabytes come
# from the heap, fragment it and are never returned: 260 MB after an hour of audio instead of 130 MB.
M_TRIM_THRESHOLD = -1
M_MMAP_THRESHOLD = -3
TRIM_BYTES = 1 << 20
MAP_BYTES = 1 << 18  # 8 s of sound: no window has a megabyte, and in the heap those of a busy time would stay
# With one arena per thread, each would keep the peak usage of its thread: 15 MB more after 500 requests.
M_ARENA_MAX = -8
ARENAS = 1

# glibc reads these when a process starts. CTranslate2 on a CPU allocates and frees tens of megabytes in every layer. By
# default each of them is mapped, touched page by page and unmapped: a million page faults for twelve windows of `base`.
# Kept in one heap of huge pages, there are nine thousand, and a window takes a fifth less time.
KEEP_MEMORY = {
    "GLIBC_TUNABLES": ":".join(
        (
            "glibc.malloc.mmap_max=0",
            "glibc.malloc.trim_threshold=2147483647",
            "glibc.malloc.arena_max=1",
            "glibc.malloc.hugetlb=1",
        )
    )
}

# Python's own allocator returns a megabyte only when nothing in it is used: of 90 MB for a thousand clients it keeps
# 65 because of a few small objects that were made meanwhile and stay. The C library returns single pages, less those in
# which its threads keep freed blocks for themselves. Small requests take a tenth more CPU time at most: decision 0048.
RETURN_MEMORY = {"PYTHONMALLOC": "malloc", "GLIBC_TUNABLES": "glibc.malloc.tcache_count=0"}


def give_memory_back_early() -> bool:
    """Return every freed block of MAP_BYTES or more to the system, and share one arena between threads.

    False where the C library is not glibc.
    """
    libc = ctypes.CDLL(None)
    if not hasattr(libc, "mallopt"):
        return False
    settings = {M_MMAP_THRESHOLD: MAP_BYTES, M_TRIM_THRESHOLD: TRIM_BYTES, M_ARENA_MAX: ARENAS}
    return all(libc.mallopt(name, value) == 1 for name, value in settings.items())


def give_memory_back() -> None:
    """Collect all garbage and return free pages to the system, where the C library can do so.

    Takes some milliseconds in an idle process, 0.3 s with a thousand open connections.
    """
    gc.collect()
    libc = ctypes.CDLL(None)
    if hasattr(libc, "malloc_trim"):
        libc.malloc_trim(0)
