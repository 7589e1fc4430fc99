"""Start the real service on a free port, wait until it is ready, stop it again.

The demo, the benchmark and the integration tests all stand on this.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil  # type: ignore[import-untyped]

ROOT = Path(__file__).resolve().parents[2]
READY_TIMEOUT = 120.0  # seconds; a cold start on two busy cores takes about 15
STOP_TIMEOUT = 20.0  # seconds until a service that ignores SIGTERM is killed
LAST_LINES = 40
UNSHARED = {"Cache-Control": "no-store"}  # makes a request work of its own, though others ask the same


class DidNotStart(RuntimeError):
    """The service ended or was not ready in time; the message holds the end of its log."""


@dataclass(frozen=True, slots=True)
class LocalService:
    """A running service. log: everything its processes printed so far."""

    url: str
    log: Path
    process: subprocess.Popen[bytes]


def free_port() -> int:
    """A TCP port that nobody listens on at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def local_service(
    environment: Mapping[str, str],
    log: Path,
    *,
    target: str = "service:TranscriptionService",
    cwd: Path = ROOT,
    wait_until_ready: bool = True,
) -> Iterator[LocalService]:
    """Serve `target` with `environment` on top of ours.

    wait_until_ready: False waits only until the port answers, for services that must not become ready.
    Raises DidNotStart.
    """
    port = free_port()
    settings = {
        "HOST": "127.0.0.1",
        "PORT": str(port),
        "JOBS_DIR": str(log.parent / "jobs"),  # never those of a service that somebody runs here
        # BentoML keeps the figures of /metrics there, and a service that starts deletes those of all others.
        "BENTOML_HOME": str(log.parent / f"{log.stem}-bentoml"),
        "ENABLE_RATE_LIMIT": "false",  # one address asks for all
        "BENTOML_CONFIG": str(ROOT / "configuration.yaml"),
        "BENTOML_DO_NOT_TRACK": "True",
    }
    command = [sys.executable, "-m", "bentoml", "serve", target]
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            cwd=cwd,
            env={**os.environ, **settings, **environment},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    service = LocalService(f"http://127.0.0.1:{port}", log, process)
    try:
        path = "/health/ready" if wait_until_ready else "/health/live"
        _wait(service, path, {"X-API-Key": environment.get("API_KEY", "")})
        yield service
    finally:
        _stop(process)


def _wait(service: LocalService, path: str, headers: Mapping[str, str]) -> None:
    deadline = time.monotonic() + READY_TIMEOUT
    while time.monotonic() < deadline:
        if service.process.poll() is not None:
            raise DidNotStart(f"The service ended with code {service.process.returncode}:\n{_tail(service.log)}")
        try:
            if httpx.get(service.url + path, headers=headers, timeout=5).status_code == httpx.codes.OK:
                return
        except httpx.TransportError:
            pass  # not listening yet
        time.sleep(0.2)
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
