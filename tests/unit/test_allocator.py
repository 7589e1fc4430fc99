"""Freed memory goes back to the system."""

import platform

from allocator import give_memory_back_early


def test_the_thresholds_are_set_where_the_c_library_has_them():
    assert give_memory_back_early() == (platform.libc_ver()[0] == "glibc")
