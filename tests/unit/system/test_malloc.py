"""What the C library does with freed memory: the API gives it back, the runner keeps it."""

import platform
import subprocess
import sys

import pytest

from transcription.system.malloc import KEEP_MEMORY, give_memory_back_early

GLIBC = platform.libc_ver()[0] == "glibc"
# Large blocks, as a model allocates and frees them; prints the page faults they cost.
ALLOCATE_AND_FREE = """
import ctypes, resource
libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
for _ in range(20):
    block = ctypes.c_void_p(libc.malloc(64 << 20))
    ctypes.memset(block, 1, 64 << 20)
    libc.free(block)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt)
"""

# Windows of 30 s, each followed by a little that stays; prints the bytes that are kept when the windows are gone.
WINDOWS_AMONG_OTHERS = """
import psutil
from transcription.system.malloc import give_memory_back_early
give_memory_back_early()
resident = lambda: psutil.Process().memory_info().rss
before = resident()
windows, others = [], []
for _ in range(100):
    windows.append(bytearray(b"x") * 960_000)
    others.append(bytearray(b"x") * 2_000)
windows.clear()
print(resident() - before)
"""


def page_faults(environment: dict[str, str]) -> int:
    command = [sys.executable, "-I", "-S", "-c", ALLOCATE_AND_FREE]
    return int(subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout)


def test_the_api_returns_freed_memory_where_the_c_library_can():
    assert give_memory_back_early() == GLIBC


@pytest.mark.skipif(not GLIBC, reason="only glibc has these settings")
def test_the_api_returns_the_memory_of_windows_among_blocks_that_stay():
    command = [sys.executable, "-c", WINDOWS_AMONG_OTHERS]
    kept = int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    assert kept < 100 * 960_000 / 10


@pytest.mark.skipif(not GLIBC, reason="only glibc has these tunables")
def test_the_runner_reuses_freed_pages():
    assert page_faults(KEEP_MEMORY) < page_faults({}) / 10
