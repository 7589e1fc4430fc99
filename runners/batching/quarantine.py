"""Quarantine of windows that were on the device when a runner died: run alone after one death, refused after two.

A window is identified by its fingerprint. Each process writes the fingerprints on its device to a file of its own and
holds a lock on it; a file without a lock was left behind by a process that died.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import tempfile
import threading
import time
from collections.abc import Callable, Iterable
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import structlog

from transcription.core.errors import RefusedWindow
from transcription.core.options import DecodeOptions

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from runners.decode.engine import WindowTask  # its module imports the model's library

QUARANTINE_SECONDS = 3600.0  # a death counts against a window for this long
REFUSED_FROM = 2  # deaths
DEATHS_FILE = "suspects.json"
JOURNAL = "runner"  # folder in CACHE_DIR
RUNNING_SUFFIX = ".running"
CLOSED = -1  # in place of a descriptor


log = structlog.get_logger(__name__)


class Verdict(StrEnum):
    """The decision about a window: decode it with others, decode it alone, or refuse it."""

    CLEAR = "clear"
    ALONE = "alone"  # it was on the device when a process died, perhaps by chance
    REFUSED = "refused"


class Quarantine:
    """Decides whether a window may be decoded, from the processes that died with it on the device. No I/O.

    deaths: times by fingerprint, seconds since the epoch.
    """

    def __init__(self, deaths: dict[str, list[float]] | None = None) -> None:
        self.deaths = deaths or {}

    def record_death(self, fingerprints: Iterable[str], now: float) -> None:
        """Record that these windows were on the device of a process that died."""
        for fingerprint in set(fingerprints):  # several windows of a recording may have the same audio
            self.deaths.setdefault(fingerprint, []).append(now)

    def recent(self, fingerprint: str, now: float) -> list[float]:
        """The deaths that count against a window at this time."""
        return [death for death in self.deaths.get(fingerprint, ()) if now - death < QUARANTINE_SECONDS]

    def verdict(self, fingerprint: str, now: float) -> Verdict:
        """The decision about a window at this time."""
        recent = self.recent(fingerprint, now)
        if len(recent) >= REFUSED_FROM:
            return Verdict.REFUSED
        return Verdict.ALONE if recent else Verdict.CLEAR

    def forget_old(self, now: float) -> None:
        """Drop deaths that affect no verdict any more."""
        recent = {fingerprint: self.recent(fingerprint, now) for fingerprint in self.deaths}
        self.deaths = {fingerprint: deaths for fingerprint, deaths in recent.items() if deaths}


class Journal:
    """Keeps the quarantine across processes. Thread-safe.

    folder: shared by every runner of the machine; created if missing.
    Raises OSError when it is not writable.
    """

    def __init__(self, folder: Path, clock: Callable[[], float] = time.time) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._clock = clock
        self._running: dict[int, tuple[str, ...]] = {}
        self._lock = threading.Lock()
        with (folder / DEATHS_FILE).open("a+") as file:
            fcntl.flock(file, fcntl.LOCK_EX)  # a process that starts now must not mistake our file for a leftover
            self._quarantine = _recover(file, folder, clock())
            self._descriptor, path = tempfile.mkstemp(RUNNING_SUFFIX, dir=folder)
            fcntl.flock(self._descriptor, fcntl.LOCK_EX)
        self._path = Path(path)

    def verdict(self, fingerprint: str) -> Verdict:
        """The decision about a window, based on the deaths of earlier processes."""
        return self._quarantine.verdict(fingerprint, self._clock())

    def begin(self, batch_id: int, fingerprints: Iterable[str]) -> None:
        """Record that these windows are on the device from now on."""
        with self._lock:
            self._running[batch_id] = tuple(fingerprints)
            self._write()

    def end(self, batch_id: int) -> None:
        """Record that the batch has ended, successfully or not."""
        with self._lock:
            del self._running[batch_id]
            self._write()

    def close(self) -> None:
        """Shut down: no death is recorded for windows still on the device, and nothing more is written."""
        with self._lock:
            self._path.unlink(missing_ok=True)
            os.close(self._descriptor)
            self._descriptor = CLOSED

    def _write(self) -> None:
        if self._descriptor == CLOSED:
            return
        data = json.dumps([name for names in self._running.values() for name in names]).encode()
        # A full disk must not stop decoding. No fsync: the process dies, not the machine.
        with contextlib.suppress(OSError):
            os.pwrite(self._descriptor, data, 0)
            os.ftruncate(self._descriptor, len(data))


def open_journal(cache_dir: Path) -> Journal | None:
    """The journal of this machine's runners; None, with a warning, if the folder is not writable."""
    try:
        return Journal(cache_dir / JOURNAL)
    except OSError as error:
        log.warning(
            "no_journal",
            error=str(error),
            remedy="make CACHE_DIR writable; until then a window that crashes the process is not quarantined",
        )
        return None


def refused_window() -> RefusedWindow:
    """The error for a window with the verdict REFUSED."""
    return RefusedWindow(
        "The model's process crashed twice while it worked on this recording, which is not tried again for an hour. "
        "Convert the recording, cut out the part, or use another model."
    )


def fingerprint(task: WindowTask) -> str:
    """SHA-256 over samples and options, hexadecimal."""
    return window_fingerprint(task.samples, task.options)


def window_fingerprint(samples: NDArray[np.int16], options: DecodeOptions) -> str:
    """As `fingerprint`, before the window is a task of the engine."""
    digest = hashlib.sha256(samples.tobytes())
    digest.update(repr(options).encode())
    return digest.hexdigest()


def _recover(file: TextIO, folder: Path, now: float) -> Quarantine:
    """Merge the deaths in the file with the files that dead processes left in the folder, and write the result back."""
    file.seek(0)
    quarantine = Quarantine(_read_json(file.read(), {}))
    for path in folder.glob(f"*{RUNNING_SUFFIX}"):
        quarantine.record_death(_take_left(path), now)
    quarantine.forget_old(now)
    file.seek(0)
    file.truncate()
    json.dump(quarantine.deaths, file)
    return quarantine


def _take_left(path: Path) -> list[str]:
    """Remove the file of a dead process and return its fingerprints; empty while its owner is alive."""
    with path.open() as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return []
        left: list[str] = _read_json(file.read(), [])
        path.unlink(missing_ok=True)
    return left


def _read_json(text: str, otherwise: Any) -> Any:
    """The document, or `otherwise` if the file is truncated."""
    try:
        return json.loads(text)
    except ValueError:
        return otherwise
