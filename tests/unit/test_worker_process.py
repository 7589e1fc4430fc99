"""The process of a Celery worker, as far as it can be seen without a broker."""

from __future__ import annotations

from pathlib import Path

import pytest

from errors import ServiceUnavailable
from jobs.process import CannotServe, WorkerProcess
from settings import Settings


@pytest.fixture
def process(tmp_path: Path) -> WorkerProcess:
    """Of a worker whose folder of recordings is no folder."""
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


def test_a_worker_that_did_not_start_can_be_stopped_more_than_once(process: WorkerProcess) -> None:
    with pytest.raises(ServiceUnavailable):
        process.start()
    process.stop_soon()
    process.stop()


def test_a_worker_that_did_not_start_gives_messages_back(process: WorkerProcess) -> None:
    with pytest.raises(ServiceUnavailable):
        process.start()
    with pytest.raises(CannotServe):
        process.attempt("a job")
