"""What becomes of jobs when processes stop, start, share a store, or find it damaged."""

from __future__ import annotations

import signal
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.support.jobs import PATIENCE, finished, read_events, segments_of, status, submit
from tests.support.recordings import Recordings
from tests.support.service import DidNotStart, connected, serve
from tests.support.waiting import wait_until

STOP_SECONDS = 15.0  # docs/RELIABILITY.md, "Stopping": from SIGTERM to the end of the last process


def test_a_stopped_service_gives_its_job_back_and_the_next_goes_on_where_it_stopped(
    tmp_path: Path, recordings: Recordings
) -> None:
    recording = recordings.speech("stopped.mp3", 130)
    with serve(tmp_path) as service, connected(service) as http:
        job = submit(http, recording, language="en", beam_size="10")
        assert wait_until(lambda: status(http, job)["progress"] >= 20, PATIENCE)
        progress = status(http, job)["progress"]
        started = time.monotonic()
        service.process.send_signal(signal.SIGTERM)
        service.process.wait(STOP_SECONDS)
        assert time.monotonic() - started < STOP_SECONDS
        assert '"job_completed"' not in service.log.read_text()
    with serve(tmp_path) as service, connected(service) as http:
        assert status(http, job)["progress"] >= progress
        done = finished(http, job)
        assert (done["status"], done["attempts"]) == ("completed", 2)
        told = segments_of(read_events(http, job))
    assert [segment["start"] for segment in told] == sorted(segment["start"] for segment in told)
    assert told[-1]["end"] > 0.9 * done["duration"]


@dataclass(frozen=True, slots=True)
class Left:
    """What a service left behind. ended: the snapshots of its jobs, the first and the last for the same work."""

    folder: Path
    log: str
    ended: list[dict[str, Any]]


@pytest.fixture(scope="module")
def left(tmp_path_factory: pytest.TempPathFactory, recordings: Recordings) -> Left:
    """Of two API processes."""
    folder = tmp_path_factory.mktemp("two")
    with serve(folder, WORKERS="2", JOB_CONCURRENCY="1") as service, connected(service) as http:
        paths = [recordings.talk(f"shared-{number}.mp3", 8 + number) for number in range(6)]
        jobs = [submit(http, path, language="en") for path in [*paths, paths[0]]]
        ended = [finished(http, job) for job in jobs]
    return Left(folder, service.log.read_text(), ended)


def test_two_api_processes_share_one_store(left: Left) -> None:
    assert {job["status"] for job in left.ended} == {"completed"}
    # The last is the same work as the first, and was done once for both.
    assert left.log.count('"job_completed"') == len(left.ended) - 1
    assert left.ended[0]["result"] == left.ended[-1]["result"]


def test_a_damaged_database_stops_the_start_and_the_message_says_how_to_go_on(left: Left) -> None:
    database = left.folder / "jobs" / "jobs.sqlite3"
    content = bytearray(database.read_bytes())
    content[4096 : 3 * 4096] = b"\xff" * (2 * 4096)
    database.write_bytes(content)
    with pytest.raises(DidNotStart) as stopped, serve(left.folder):
        pass
    message = str(stopped.value)
    assert str(database) in message
    assert "cp " in message
    assert str(left.folder / "jobs" / "backups") in message
