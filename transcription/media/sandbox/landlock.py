"""Restricts the file system to a list of paths with Landlock (linux/landlock.h): without root, and irrevocably."""

from __future__ import annotations

import ctypes
import os
import stat
import struct
from collections.abc import Iterable
from pathlib import Path

CREATE_RULESET, ADD_RULE, RESTRICT_SELF = 444, 445, 446  # numbers of system calls, the same on every architecture
VERSION_FLAG = 1
RULE_PATH_BENEATH = 1
EXECUTE, READ_FILE, READ_DIR = 1, 4, 8
# All file access rights of each ABI version; rights that are handled and not granted are denied.
FILE_RIGHTS = {1: 0x1FFF, 2: 0x3FFF, 3: 0x7FFF, 4: 0x7FFF, 5: 0xFFFF}
TCP_VERSION, TCP_RIGHTS = 4, 0b11  # bind, connect
SCOPE_VERSION, SCOPES = 6, 0b11  # abstract Unix sockets and signals, within this process only

_libc = ctypes.CDLL(None, use_errno=True)


def version() -> int:
    """ABI version of Landlock in this kernel; 0 without Landlock."""
    found: int = _libc.syscall(CREATE_RULESET, None, ctypes.c_size_t(0), VERSION_FLAG)
    return max(0, found)


def restrict(known: int, readable: Iterable[Path], executable: Iterable[Path]) -> None:
    """Deny this process all access to files except these, and all changes to files.

    known: from `version`, not 0.
    readable, executable: files, or folders with everything beneath them. Executable files can also be read. Paths that
    do not exist are skipped.
    Raises OSError.
    """
    attributes = struct.pack(
        "=QQQ",
        FILE_RIGHTS[min(known, max(FILE_RIGHTS))],
        TCP_RIGHTS if known >= TCP_VERSION else 0,
        SCOPES if known >= SCOPE_VERSION else 0,
    )
    # Fields that the kernel does not know must be zero, and they are.
    ruleset = _call(CREATE_RULESET, attributes, ctypes.c_size_t(len(attributes)), 0)
    try:
        for path in readable:
            _allow(ruleset, path, READ_FILE)
        for path in executable:
            _allow(ruleset, path, READ_FILE | EXECUTE)
        _call(RESTRICT_SELF, ruleset, 0)
    finally:
        os.close(ruleset)


def _allow(ruleset: int, path: Path, rights: int) -> None:
    try:
        descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            rights |= READ_DIR
        _call(ADD_RULE, ruleset, RULE_PATH_BENEATH, struct.pack("=Qi", rights, descriptor), 0)
    finally:
        os.close(descriptor)


def _call(number: int, *arguments: object) -> int:
    result: int = _libc.syscall(number, *arguments)
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, f"Landlock refused call {number}: {os.strerror(code)}")
    return result
