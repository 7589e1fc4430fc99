"""Start the real service on a free port, wait until it is ready, stop it again.

The demo, the benchmark, the chaos and the integration tests all use this.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil  # type: ignore[import-untyped]

from tests.support.waiting import wait_until

ROOT = Path(__file__).resolve().parents[2]
POLL_SECONDS = 0.1
READY_TIMEOUT = 120.0  # seconds; a cold start on two busy cores takes about 15
STOP_TIMEOUT = 20.0  # seconds until a service that ignores SIGTERM is killed
CLIENT_TIMEOUT = 180.0  # seconds
LAST_LINES = 40
UNSHARED = {"Cache-Control": "no-store"}  # makes a request work of its own, though others send the same


class DidNotStart(RuntimeError):
    """The service ended or was not ready in time; the message holds the end of its log."""


@dataclass(frozen=True, slots=True)
class LocalService:
    """A running service. log: everything its processes printed so far."""

    url: str
    log: Path
    process: subprocess.Popen[bytes]

    def logged(self, *parts: str) -> str:
        """The first line with all these parts. It may be written a moment after an answer has been read."""

        def lines() -> list[str]:
            return [line for line in self.log.read_text().split("\n") if all(part in line for part in parts)]

        assert wait_until(lines), f"no line with {parts} in {self.log}"
        return lines()[0]


def free_port() -> int:
    """A TCP port on which nothing listens at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def folders(folder: Path) -> dict[str, str]:
    """Settings that keep every file of a service in one folder, apart from a service that already runs here."""
    return {
        "WHISPER_MODEL_DIR": str(folder / "models"),
        "TEMP_DIR": str(folder / "uploads"),
        "CACHE_DIR": str(folder / "cache"),
        "JOBS_DIR": str(folder / "jobs"),
    }


def unmeasured(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment without what makes Python's coverage follow subprocesses.

    A measured service takes half as long again for everything. The one that most tests share is enough.
    """
    return {name: value for name, value in environment.items() if not name.startswith("COVERAGE_")}


@contextmanager
def local_service(
    environment: Mapping[str, str],
    log: Path,
    *,
    target: str = "service:TranscriptionService",
    cwd: Path = ROOT,
    wait_until_ready: bool = True,
    ready_path: str = "/health/ready",
    measured: bool = False,
) -> Iterator[LocalService]:
    """Serve `target` with the embedded model and all its files beside `log`, unless `environment` says otherwise.

    wait_until_ready: False waits only until the port answers, for services that must not become ready.
    ready_path: answers 200 once it is ready.
    measured: whether its coverage is measured, where that of the tests is.
    Raises DidNotStart.
    """
    port = free_port()
    settings = {
        "HOST": "127.0.0.1",
        "PORT": str(port),
        "WHISPER_MODEL": "demo",
        **folders(log.parent),
        # BentoML keeps the figures of /metrics there, and a service that starts deletes those of all others.
        "BENTOML_HOME": str(log.parent / f"{log.stem}-bentoml"),
        "ENABLE_RATE_LIMIT": "false",  # every request comes from one address
        "BENTOML_CONFIG": str(ROOT / "configuration.yaml"),
        "BENTOML_DO_NOT_TRACK": "True",
    }
    command = [sys.executable, "-m", "bentoml", "serve", target]
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            cwd=cwd,
            env={**(os.environ if measured else unmeasured(os.environ)), **settings, **environment},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    service = LocalService(f"http://127.0.0.1:{port}", log, process)
    try:
        path = ready_path if wait_until_ready else "/health/live"
        _wait(service, path, {"X-API-Key": environment.get("API_KEY", "")})
        yield service
    finally:
        _stop(process)


def serve(folder: Path, *, wait_until_ready: bool = True, **settings: str) -> AbstractContextManager[LocalService]:
    """A service whose files are in `folder`, with the jobs that an earlier one left there."""
    return local_service(settings, folder / "log", wait_until_ready=wait_until_ready)


def connected(service: LocalService) -> httpx.Client:
    """A client that waits as long as a request may take on a busy machine."""
    return httpx.Client(base_url=service.url, timeout=CLIENT_TIMEOUT, verify=False)


def ask(url: str, **options: Any) -> httpx.Response:
    """GET without TLS. With it, httpx reads all certificate authorities for each call: 25 ms of the CPU."""
    return httpx.get(url, verify=False, **options)


def _wait(service: LocalService, path: str, headers: Mapping[str, str]) -> None:
    deadline = time.monotonic() + READY_TIMEOUT
    while time.monotonic() < deadline:
        if service.process.poll() is not None:
            raise DidNotStart(f"The service ended with code {service.process.returncode}:\n{_tail(service.log)}")
        try:
            if ask(service.url + path, headers=headers, timeout=5).status_code == httpx.codes.OK:
                return
        except httpx.TransportError:
            pass  # not listening yet
        time.sleep(POLL_SECONDS)
    raise DidNotStart(f"The service was not ready after {READY_TIMEOUT:.0f} s:\n{_tail(service.log)}")


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(STOP_TIMEOUT)
    except subprocess.TimeoutExpired:
        for pid in (child.pid for child in psutil.Process(process.pid).children(recursive=True)):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        process.kill()
        process.wait()


def _tail(log: Path) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-LAST_LINES:])
