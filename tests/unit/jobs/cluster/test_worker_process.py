"""The process of a Celery worker, as far as it works without a broker."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from runners.pool.pool import RunnerPool
from tests.support.service import ROOT
from transcription.core.errors import ServiceUnavailable
from transcription.core.settings import Settings
from transcription.jobs.cluster.worker_process import CannotServe, WorkerProcess, open_runner

COMMAND = [sys.executable, "-m", "celery", "-A", "transcription.jobs.cluster.celery", "worker"]
PASSWORD = "never-to-be-seen"


@pytest.fixture
def process(tmp_path: Path) -> WorkerProcess:
    """A worker whose recordings folder is a file."""
    (tmp_path / "spool").write_text("")
    settings = Settings(
        _env_file=None,
        job_backend="celery",
        redis_url="redis://127.0.0.1:1/0",
        spool_url=str(tmp_path / "spool"),
        temp_dir=tmp_path / "temp",
        metrics_port=0,
    )
    return WorkerProcess(settings)


def test_a_worker_that_cannot_reach_the_recordings_does_not_start(process: WorkerProcess) -> None:
    with pytest.raises(ServiceUnavailable):
        process.start()


def test_a_worker_that_failed_to_start_can_be_stopped_repeatedly(process: WorkerProcess) -> None:
    with pytest.raises(ServiceUnavailable):
        process.start()
    process.stop_soon()
    process.stop()


def test_a_worker_that_failed_to_start_rejects_messages(process: WorkerProcess) -> None:
    with pytest.raises(ServiceUnavailable):
        process.start()
    with pytest.raises(CannotServe):
        process.attempt("a job")


def test_a_port_in_use_stops_the_start_with_a_message(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        ended = run_worker(tmp_path, metrics_port=taken.getsockname()[1])
    assert ended.returncode == 1
    assert "METRICS_PORT" in ended.stderr
    assert PASSWORD not in ended.stdout + ended.stderr


def test_a_pool_without_threads_stops_the_start_with_a_message(tmp_path: Path) -> None:
    ended = run_worker(tmp_path, "--pool=solo")
    assert ended.returncode != 0
    assert "--pool=threads" in ended.stderr


def run_worker(folder: Path, *options: str, metrics_port: int = 0) -> subprocess.CompletedProcess[str]:
    """A worker that exits before it connects to Redis."""
    environment = {
        **os.environ,
        "HOST": "127.0.0.1",
        "JOB_BACKEND": "celery",
        "REDIS_URL": f"redis://:{PASSWORD}@127.0.0.1:1/0",
        "JOBS_DIR": str(folder / "jobs"),
        "TEMP_DIR": str(folder / "temp"),
        "CACHE_DIR": str(folder / "cache"),
        "WHISPER_MODEL": "demo",
        "METRICS_PORT": str(metrics_port),
    }
    return subprocess.run(
        [*COMMAND, *options], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60, check=False
    )


def test_a_worker_with_a_pool_has_no_model() -> None:
    with_pool = Settings(_env_file=None, runner_url="http://127.0.0.1:9")

    assert isinstance(open_runner(with_pool), RunnerPool)
