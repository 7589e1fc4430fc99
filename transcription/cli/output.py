"""Writes results into files or to standard output, always in UTF-8."""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from formats.registry import ResponseFormat
from transcription.cli.names import Targets
from transcription.cli.transcriber import RecordingFailed

STDOUT_DESCRIPTOR = 1
WITHOUT_LINKS = frozenset({errno.EPERM, errno.ENOSYS, errno.ENOTSUP})  # FAT and some network shares


class Output:
    """Writes results, and replaces no file that it wrote itself. overwrite: replace existing files."""

    def __init__(self, overwrite: bool = False) -> None:
        self._overwrite = overwrite
        self._written: dict[tuple[int, int], Path] = {}  # by device and inode
        self._writable: set[Path] = set()  # folders

    def check(self, targets: Targets) -> None:
        """Raises RecordingFailed if a file exists and must not be replaced."""
        for path in targets.values():
            # On a file system that ignores case or Unicode's normal forms, two names can be one file.
            if other := self._written.get(_identity(path)):
                raise RecordingFailed(f"{path} is the same file as {other}, just written. Use another --output-dir.")
        existing = [str(path) for path in targets.values() if path.exists() or path.is_symlink()]
        if existing and not self._overwrite:
            raise RecordingFailed(f"{', '.join(existing)} exists. Use --overwrite or another --output-dir.")

    def prepare(self, targets: Targets) -> None:
        """Create the folders of the files, and see that files can be written there. Raises RecordingFailed."""
        for folder in {path.parent for path in targets.values()}:
            if folder in self._writable:
                continue
            try:
                folder.mkdir(parents=True, exist_ok=True)
                # Tried, not asked: access rights say nothing about file systems that are read-only or full.
                with tempfile.NamedTemporaryFile(prefix=".transcribe-", dir=folder):
                    self._writable.add(folder)
            except OSError as error:
                raise RecordingFailed(
                    f"nothing can be written into {folder}: {error.strerror or error}. Use another --output-dir."
                ) from None

    def write(self, results: Mapping[ResponseFormat, str], targets: Targets) -> None:
        """Write the results into `targets`, or print them if there are none. Raises RecordingFailed."""
        if not targets:
            write_to_stdout("".join(results.values()))
            return
        for each, path in targets.items():
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                write_atomically(path, results[each], overwrite=self._overwrite)
                self._written[_identity(path)] = path
            except FileExistsError:
                raise RecordingFailed(f"{path} was created by another program meanwhile and is kept.") from None
            except OSError as error:
                raise RecordingFailed(f"{path} cannot be written: {error.strerror or error}.") from None


def write_to_stdout(text: str) -> None:
    """Print a result in UTF-8, whatever the locale's encoding is. Raises RecordingFailed."""
    try:
        with open(STDOUT_DESCRIPTOR, "wb", closefd=False) as stdout:
            stdout.write(text.encode())
    except OSError as error:
        raise RecordingFailed(f"standard output cannot be written: {error.strerror or error}.") from None


def write_atomically(path: Path, text: str, *, overwrite: bool) -> None:
    """Write a file so that it is never visible with a part of its content.

    Raises FileExistsError if it exists and `overwrite` is not set, otherwise OSError.
    """
    descriptor, name = tempfile.mkstemp(prefix=".transcribe-", dir=path.parent)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
        mask = os.umask(0)
        os.umask(mask)
        Path(name).chmod(0o666 & ~mask)
        if overwrite or not _linked(Path(name), path):
            Path(name).replace(path)
    finally:
        with suppress(FileNotFoundError):
            Path(name).unlink()


def _linked(file: Path, path: Path) -> bool:
    """Give a file a name that does not exist yet. False if the file system has no links. Raises OSError."""
    try:
        path.hardlink_to(file)
    except FileExistsError:
        raise
    except OSError as error:
        if error.errno not in WITHOUT_LINKS:
            raise
        return False
    return True


def _identity(path: Path) -> tuple[int, int]:
    """Device and inode; (0, 0), which no file has, if there is none."""
    try:
        status = path.lstat()
    except OSError:
        return 0, 0
    return status.st_dev, status.st_ino
