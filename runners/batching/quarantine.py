"""Which windows were on the device when a runner died: once makes a suspect, twice and it is refused.

A window is known by its fingerprint. Each process keeps the fingerprints that are on its device in a file of its own,
which it holds a lock on; a file that nobody holds was left by a process that died.
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
from typing import Any, TextIO

from runners.decode.engine import WindowTask

SUSPECT_SECONDS = 3600.0  # for so long a death is held against a window
REFUSED_FROM = 2  # deaths
SUSPECTS = "suspects.json"
JOURNAL = "runner"  # folder in CACHE_DIR
RUNNING_SUFFIX = ".running"
CLOSED = -1  # in the place of a descriptor


class Verdict(StrEnum):
    """What to do with a window."""

    CLEAR = "clear"
    ALONE = "alone"  # it was there when a process died, perhaps by chance
    REFUSED = "refused"


class Suspects:
    """Deaths by fingerprint. Decides only. deaths: times, seconds since the epoch."""

    def __init__(self, deaths: dict[str, list[float]] | None = None) -> None:
        self.deaths = deaths or {}

    def accuse(self, fingerprints: Iterable[str], now: float) -> None:
        """These were on the device of a process that died."""
        for fingerprint in fingerprints:
            self.deaths.setdefault(fingerprint, []).append(now)

    def verdict(self, fingerprint: str, now: float) -> Verdict:
        recent = [death for death in self.deaths.get(fingerprint, ()) if now - death < SUSPECT_SECONDS]
        if len(recent) >= REFUSED_FROM:
            return Verdict.REFUSED
        return Verdict.ALONE if recent else Verdict.CLEAR

    def forget_old(self, now: float) -> None:
        """Drop what no verdict rests on any more."""
        recent = {
            fingerprint: [death for death in deaths if now - death < SUSPECT_SECONDS]
            for fingerprint, deaths in self.deaths.items()
        }
        self.deaths = {fingerprint: deaths for fingerprint, deaths in recent.items() if deaths}


class Journal:
    """Remembers across processes. Thread-safe.

    folder: shared by every runner of the machine; made if need be.
    Raises OSError when nothing can be written there.
    """

    def __init__(self, folder: Path, clock: Callable[[], float] = time.time) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._clock = clock
        self._running: dict[int, tuple[str, ...]] = {}
        self._lock = threading.Lock()
        with (folder / SUSPECTS).open("a+") as file:
            fcntl.flock(file, fcntl.LOCK_EX)  # a process that starts now must not take our file for a dead one's
            self._suspects = _recover(file, folder, clock())
            self._descriptor, path = tempfile.mkstemp(RUNNING_SUFFIX, dir=folder)
            fcntl.flock(self._descriptor, fcntl.LOCK_EX)
        self._path = Path(path)

    def verdict(self, fingerprint: str) -> Verdict:
        """What earlier deaths say of a window."""
        return self._suspects.verdict(fingerprint, self._clock())

    def begin(self, batch_id: int, fingerprints: Iterable[str]) -> None:
        """These windows are on the device from now on."""
        with self._lock:
            self._running[batch_id] = tuple(fingerprints)
            self._write()

    def end(self, batch_id: int) -> None:
        """The batch is over, however it ended."""
        with self._lock:
            del self._running[batch_id]
            self._write()

    def close(self) -> None:
        """An orderly end: nobody is to blame for what still runs, and nothing is written any more."""
        with self._lock:
            self._path.unlink(missing_ok=True)
            os.close(self._descriptor)
            self._descriptor = CLOSED

    def _write(self) -> None:
        if self._descriptor == CLOSED:
            return
        data = json.dumps([name for names in self._running.values() for name in names]).encode()
        # A full disk is no reason not to decode. Not fsync: it is the process that dies, not the machine.
        with contextlib.suppress(OSError):
            os.pwrite(self._descriptor, data, 0)
            os.ftruncate(self._descriptor, len(data))


def fingerprint(task: WindowTask) -> str:
    """The same for the same samples and options."""
    digest = hashlib.sha256(task.samples.tobytes())
    digest.update(repr(task.options).encode())
    return digest.hexdigest()


def _recover(file: TextIO, folder: Path, now: float) -> Suspects:
    """What is known so far in the file, and what dead processes left in the folder; the file then has both."""
    file.seek(0)
    suspects = Suspects(_read_json(file.read(), {}))
    for path in folder.glob(f"*{RUNNING_SUFFIX}"):
        suspects.accuse(_take_left(path), now)
    suspects.forget_old(now)
    file.seek(0)
    file.truncate()
    json.dump(suspects.deaths, file)
    return suspects


def _take_left(path: Path) -> list[str]:
    """Fingerprints that a dead process left in `path`, which is removed; none while its owner lives."""
    with path.open() as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return []
        left: list[str] = _read_json(file.read(), [])
        path.unlink(missing_ok=True)
    return left


def _read_json(text: str, otherwise: Any) -> Any:
    """A file that was cut off says nothing."""
    try:
        return json.loads(text)
    except ValueError:
        return otherwise
