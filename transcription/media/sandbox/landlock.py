"""The file system, reduced to a list of paths by Landlock: linux/landlock.h. It needs no root and is for good."""

from __future__ import annotations

import ctypes
import os
import stat
import struct
from collections.abc import Iterable
from pathlib import Path

CREATE_RULESET, ADD_RULE, RESTRICT_SELF = 444, 445, 446  # system calls, the same on every processor
VERSION_FLAG = 1
RULE_PATH_BENEATH = 1
EXECUTE, READ_FILE, READ_DIR = 1, 4, 8
# All rights over files that each version of the interface knows; what is handled and not granted is denied.
FILE_RIGHTS = {1: 0x1FFF, 2: 0x3FFF, 3: 0x7FFF, 4: 0x7FFF, 5: 0xFFFF}
TCP_VERSION, TCP_RIGHTS = 4, 0b11  # bind, connect
SCOPE_VERSION, SCOPES = 6, 0b11  # abstract Unix sockets, signals: of this process only

_libc = ctypes.CDLL(None, use_errno=True)


def version() -> int:
    """Of the interface that this kernel offers; 0 without Landlock."""
    found: int = _libc.syscall(CREATE_RULESET, None, ctypes.c_size_t(0), VERSION_FLAG)
    return max(0, found)


def restrict(known: int, readable: Iterable[Path], executable: Iterable[Path]) -> None:
    """Deny this process every file but these, and every way to change any.

    known: what `version` said, not 0. readable, executable: files, or folders with all that is beneath them; what is
    executable can be read as well. One that does not exist is left out: it cannot be opened either.
    Raises OSError.
    """
    attributes = struct.pack(
        "=QQQ",
        FILE_RIGHTS[min(known, max(FILE_RIGHTS))],
        TCP_RIGHTS if known >= TCP_VERSION else 0,
        SCOPES if known >= SCOPE_VERSION else 0,
    )
    # A kernel that does not know the later fields wants them to be zero, and they are.
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
