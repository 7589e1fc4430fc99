"""A service that is killed and stopped in every way, and comes back."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import time
from collections.abc import Iterable, Mapping
from pathlib import Path

import psutil  # type: ignore[import-untyped]

from benchmarks.load import API, RUNNER, descendants, service_processes
from runners.batching.quarantine import JOURNAL
from tests.support.service import LocalService, local_service
from tests.support.small_disk import filled
from tests.support.waiting import wait_until

DISK = "disk"
# Killed: a kind of process, everything, or the process group. Stopped: the runner, by SIGSTOP. Deleted: TEMP_DIR.
# Filled: the disk of TEMP_DIR and JOBS_DIR.
TARGETS = ("api", "runner", "frozen runner", "decoders", "launcher", "group", "all", "folder", DISK)
FULL_SECONDS = 3.0  # for which the disk is full
WATCHDOG_SECONDS = "3"  # WATCHDOG_TIMEOUT
LAUNCHER = "transcription.media.sandbox.launcher"
DECODER_SECONDS = 5.0  # in which a decoder is waited for
END_SECONDS = 120.0  # until what was killed has ended; the limit of a failure


class Phoenix:
    """A service on one JOBS_DIR, that can be killed as a whole and started again."""

    def __init__(self, environment: Mapping[str, str], folder: Path) -> None:
        self._environment = environment
        self._folder = folder
        self._starts = 0
        self._stack = contextlib.ExitStack()
        self._service: LocalService

    def __enter__(self) -> Phoenix:
        self._start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @property
    def url(self) -> str:
        """Where it listens now."""
        return self._service.url

    def kill(self, target: str) -> None:
        """SIGKILL, or SIGSTOP for a runner that freezes; a service that is killed as a whole comes back elsewhere.

        The target "folder" is TEMP_DIR, which is deleted as by a cleaner of temporary files. The target "disk" is
        full for FULL_SECONDS; it must be a `small_disk` around JOBS_DIR.

        The runner's journal of what it was at when it died is emptied: here no recording has killed it.
        """
        if target in ("all", "group"):
            self._kill_everything(group=target == "group")
            return
        if target == "folder":
            shutil.rmtree(self._environment["TEMP_DIR"], ignore_errors=True)
            return
        if target == DISK:
            with filled(Path(self._environment["JOBS_DIR"]).parent):
                time.sleep(FULL_SECONDS)
            return
        victims = self._victims(target)
        _send(victims, signal.SIGSTOP if target == "frozen runner" else signal.SIGKILL)
        if target == "frozen runner":
            wait_until(lambda: not any(psutil.pid_exists(pid) for pid in victims), END_SECONDS)
        if "runner" in target:
            self._acquit()

    def _kill_everything(self, *, group: bool) -> None:
        """Kill every process, or the group as `kill -9 -GROUP` does, which spares the decoders and their launcher."""
        everything = descendants(self._service.process.pid)
        if group:
            os.killpg(self._service.process.pid, signal.SIGKILL)
        else:
            _send(everything, signal.SIGKILL)
        self._service.process.wait()
        wait_until(lambda: not any(psutil.pid_exists(pid) for pid in everything), END_SECONDS)
        self._acquit()
        self._stack.close()
        self._start()

    def _victims(self, target: str) -> list[int]:
        root = self._service.process.pid
        if target == "launcher":
            return _launchers(root)
        if target == "decoders":
            wait_until(lambda: _decoders(root), DECODER_SECONDS)  # most decoders take less than a second
            return _decoders(root)
        return list(service_processes(root, API if target == "api" else RUNNER))

    def _acquit(self) -> None:
        for entry in Path(self._environment["CACHE_DIR"], JOURNAL).glob("*"):
            entry.unlink(missing_ok=True)

    def _start(self) -> None:
        self._starts += 1
        log = self._folder / f"service-{self._starts}.log"
        self._service = self._stack.enter_context(local_service(self._environment, log))


def _decoders(root: int) -> list[int]:
    """The processes that read a recording."""
    return [pid for each in _launchers(root) for pid in descendants(each) if pid != each]


def _launchers(root: int) -> list[int]:
    """The processes that start decoders."""
    mark = f"-m\0{LAUNCHER}\0".encode()
    found = []
    for pid in descendants(root):
        with contextlib.suppress(OSError):
            if mark in Path(f"/proc/{pid}/cmdline").read_bytes():
                found.append(pid)
    return found


def _send(pids: Iterable[int], number: signal.Signals) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)
