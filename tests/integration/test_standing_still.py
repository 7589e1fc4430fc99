"""The model's process is stopped from outside, and the supervisor of all processes dies."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import psutil
import pytest

from benchmarks.load import API, RUNNER, service_processes
from tests.support.clips import SpokenClip
from tests.support.recordings import Recordings
from tests.support.service import UNSHARED, LocalService, ask, local_service
from tests.support.waiting import wait_until

SECONDS = 3  # WATCHDOG_TIMEOUT
RECOVERY_SECONDS = 120.0  # the limit of a failure; it takes a few seconds on an idle machine


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalService]:
    folder = tmp_path_factory.mktemp("watched")
    with local_service({"WATCHDOG_TIMEOUT": str(SECONDS)}, folder / "log") as running:
        yield running


def runners(service: LocalService) -> list[int]:
    return [pid for pid in service_processes(service.process.pid, RUNNER) if psutil.pid_exists(pid)]


def is_ready(service: LocalService) -> bool:
    return ask(f"{service.url}/health/ready", timeout=60).is_success


def transcribe(service: LocalService, path: Path, **fields: str) -> httpx.Response:
    with path.open("rb") as file:
        return httpx.post(
            f"{service.url}/transcribe", files={"file": file}, data=fields, headers=UNSHARED, timeout=RECOVERY_SECONDS
        )


def test_a_runner_that_is_stopped_is_replaced_and_a_waiting_request_is_answered(
    watched: LocalService, spoken_clip: SpokenClip
) -> None:
    [victim] = runners(watched)
    os.kill(victim, signal.SIGSTOP)
    with ThreadPoolExecutor(1) as client:
        answer = client.submit(transcribe, watched, spoken_clip.path)
        assert wait_until(lambda: not psutil.pid_exists(victim), RECOVERY_SECONDS)
        assert wait_until(lambda: is_ready(watched), RECOVERY_SECONDS)
        # It was on its way to the runner, or on the device already.
        assert answer.result().status_code in (200, 503)
    assert victim not in runners(watched)
    assert transcribe(watched, spoken_clip.path).status_code == 200
    watched.logged('"process_stands_still"')


def test_a_job_survives_a_runner_that_is_stopped(watched: LocalService, recordings: Recordings) -> None:
    accepted = transcribe(watched, recordings.talk("job.mp3", 60), **{"async": "true"})
    location = f"{watched.url}{accepted.headers['location']}"
    [victim] = runners(watched)
    os.kill(victim, signal.SIGSTOP)
    assert wait_until(lambda: not psutil.pid_exists(victim), RECOVERY_SECONDS)

    def is_completed() -> bool:
        return bool(ask(location, timeout=60).json()["status"] == "completed")

    assert wait_until(is_completed, RECOVERY_SECONDS)
    assert ask(location).json()["result"]["duration"] == pytest.approx(60, abs=2)


def test_a_service_whose_supervisor_dies_ends_and_frees_its_port(watched: LocalService) -> None:
    """The last test here: the service is gone afterwards."""
    assert wait_until(lambda: is_ready(watched), RECOVERY_SECONDS)
    left = [*service_processes(watched.process.pid, API), *runners(watched)]
    assert len(left) >= 2
    watched.process.kill()
    watched.process.wait()
    assert wait_until(lambda: not any(psutil.pid_exists(pid) for pid in left), RECOVERY_SECONDS)
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind(("127.0.0.1", httpx.URL(watched.url).port or 0))
