"""Folders and files that no other user can use: created with modes 0700 and 0600, and checked when they are opened.

Anyone may plant a link or a folder in a folder such as /tmp, or replace one while it is in use. So a folder is used
through the descriptor that was checked, and not by its path.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from contextlib import suppress
from io import FileIO
from pathlib import Path

PRIVATE_FOLDER, PRIVATE_FILE = 0o700, 0o600
OTHERS = stat.S_IRWXG | stat.S_IRWXO
ROOT = 0
LOST_AND_FOUND = "lost+found"  # in the root of an ext4 file system


class UnsafeFolder(Exception):
    """The folder may be under the control of another user. The text completes the sentence "The folder ..."."""


def open_private(path: Path) -> int:
    """A descriptor of the folder, which the caller closes. It is created with its parents if it is missing.

    Rights of others on a folder of ours are taken away, unless everyone could write to it.
    Raises UnsafeFolder unless it is a real folder that belongs to this user and is not reached through a link of
    another one, and OSError.
    """
    _refuse_links_of_others(path)
    path.parent.mkdir(PRIVATE_FOLDER, parents=True, exist_ok=True)
    try:
        path.mkdir(PRIVATE_FOLDER)
    except FileExistsError:
        if not stat.S_ISDIR(path.lstat().st_mode):
            raise UnsafeFolder("is a link or a file") from None
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except PermissionError:
        if path.lstat().st_uid == os.geteuid():
            raise
        raise _not_ours(path.lstat()) from None
    try:
        _make_private(descriptor)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _refuse_links_of_others(path: Path) -> None:
    for folder in path.parents:
        try:
            found = folder.lstat()
        except FileNotFoundError:
            continue
        if stat.S_ISLNK(found.st_mode) and found.st_uid not in (ROOT, os.geteuid()):
            raise UnsafeFolder(f"is reached through a link that belongs to user {found.st_uid}")


def _make_private(descriptor: int) -> None:
    found = os.fstat(descriptor)
    if found.st_uid != os.geteuid():
        raise _not_ours(found)
    if found.st_mode & stat.S_IWOTH:
        raise UnsafeFolder("can be written by every user")
    if found.st_mode & OTHERS:  # such as a volume whose files Kubernetes makes accessible to a group
        os.fchmod(descriptor, PRIVATE_FOLDER)
        if os.fstat(descriptor).st_mode & OTHERS:
            raise UnsafeFolder("is on a file system that does not keep permissions")


def _not_ours(found: os.stat_result) -> UnsafeFolder:
    return UnsafeFolder(f"belongs to user {found.st_uid}, and the service runs as user {os.geteuid()}")


def open_without_links(path: str | Path, flags: int = os.O_RDONLY, *, folder: int | None = None) -> int:
    """A descriptor of a file, usable as an `opener`. folder: descriptor that a relative path starts from.

    Raises OSError, also for a link.
    """
    # Without O_NONBLOCK, opening a pipe that has taken the place of the file would block indefinitely.
    return os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=folder)


def create_private(path: Path) -> FileIO:
    """A new file, open for writing. Raises FileExistsError, also for a link, and other OSErrors."""
    return FileIO(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE_FILE), "w")


def withdraw_rights(folder: Path, is_ours: Callable[[str], bool]) -> str:
    """Take the rights of others on a folder of ours, and on our files and folders in it, older ones included.

    The folder keeps its rights if there is anything else in it, or if it belongs to another user: it may be /tmp.
    is_ours: whether a name is one of ours. Returns why others can use the folder; "" if they cannot.
    """
    others = 0
    with os.scandir(folder) as entries:
        for entry in entries:
            if is_ours(entry.name):
                with suppress(FileNotFoundError):  # deleted in the meantime
                    _withdraw(entry.path, entry.stat(follow_symlinks=False))
            elif entry.name != LOST_AND_FOUND:
                others += 1
    found = folder.stat()
    if not found.st_mode & OTHERS:
        return ""
    if found.st_uid != os.geteuid():
        return f"it belongs to user {found.st_uid}"
    if others:
        return "it contains other files; give the service a folder of its own"
    folder.chmod(PRIVATE_FOLDER)
    return "" if not folder.stat().st_mode & OTHERS else "its file system does not keep permissions"


def _withdraw(path: str, found: os.stat_result) -> None:
    if found.st_uid != os.geteuid() or not found.st_mode & OTHERS:
        return
    if stat.S_ISDIR(found.st_mode):
        Path(path).chmod(PRIVATE_FOLDER)
    elif stat.S_ISREG(found.st_mode):
        Path(path).chmod(PRIVATE_FILE)
