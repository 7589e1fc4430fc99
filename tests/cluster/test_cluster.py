"""Several machines as one service: a job accepted by one replica is known to all, and any worker runs it."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest

from tests.support.api_keys import KEY, OTHER_KEY, entry
from tests.support.cluster import Cluster, Member
from tests.support.jobs import PATIENCE, finished, post, read_events, segments_of, status, submit
from tests.support.recordings import Recordings
from tests.support.service import ask
from tests.support.waiting import wait_until

STOP_SECONDS = 15.0  # from SIGTERM to the end of a worker
Replicas = list[httpx.Client]


def spooled(folder: Path) -> set[str]:
    return {path.name for path in (folder / "shared" / "spool").iterdir()}


def log_lines(cluster: Cluster, event: str, job: str) -> list[str]:
    """What the workers say of a job."""
    lines = [line for worker in cluster.workers for line in worker.log.read_text().splitlines()]
    return [line for line in lines if f'"{event}"' in line and job in line]


def test_any_replica_answers_for_a_job(replicas: Replicas, recordings: Recordings) -> None:
    here, there = replicas
    job = submit(here, recordings.talk("any.mp3", 41))
    told = segments_of(read_events(there, job))
    assert told[-1]["end"] > 35
    done = finished(there, job)
    assert (done["status"], done["attempts"]) == ("completed", 1)
    results = [replica.get(f"/jobs/{job}/result", params={"response_format": "srt"}).text for replica in replicas]
    assert results[0] == results[1]
    assert results[0].startswith("1\n00:00:")
    assert [job in replica.get("/jobs").text for replica in replicas] == [True, True]


def test_the_same_recording_at_two_replicas_is_transcribed_once(
    cluster: Cluster, replicas: Replicas, recordings: Recordings
) -> None:
    recording = recordings.talk("twice.mp3", 62)
    jobs = [submit(replica, recording) for replica in replicas]
    ended = [finished(replica, job) for replica, job in zip(replicas, jobs, strict=True)]
    assert ended[0]["result"]["segments"] == ended[1]["result"]["segments"]
    assert sorted(end["attempts"] for end in ended) == [0, 1]
    assert sum(len(log_lines(cluster, "job_completed", job)) for job in jobs) == 1
    decoded = batches(cluster)
    for replica in replicas:  # a synchronous request for the same is answered from the store
        assert post(replica, recording).json()["segments"] == ended[0]["result"]["segments"]
    assert batches(cluster) == decoded


def test_an_idempotency_key_holds_at_every_replica(replicas: Replicas, recordings: Recordings) -> None:
    recording = recordings.talk("key.mp3", 5)
    jobs = {submit(replica, recording, headers={"Idempotency-Key": "one"}) for replica in replicas}
    assert len(jobs) == 1


def test_a_job_is_cancelled_by_a_replica_that_did_not_accept_it(
    cluster: Cluster, folder: Path, replicas: Replicas, recordings: Recordings
) -> None:
    here, there = replicas
    job = submit(here, recordings.speech("cancel.mp3", 900), beam_size="10")
    assert wait_until(lambda: status(here, job)["status"] == "processing", PATIENCE)
    assert job in spooled(folder)
    there.delete(f"/jobs/{job}").raise_for_status()
    assert status(here, job)["status"] == "cancelled"
    assert job not in spooled(folder)
    assert wait_until(lambda: log_lines(cluster, "job_given_up", job), 60)


def test_a_bad_recording_fails_with_the_reason_and_may_be_retried(replicas: Replicas, recordings: Recordings) -> None:
    here, there = replicas
    job = submit(here, recordings.picture_only("mute.mp4"))
    failed = finished(there, job)
    assert (failed["status"], failed["error"]) == ("failed", "no_audio_stream")
    assert there.post(f"/jobs/{job}/retry").status_code == 202
    assert finished(here, job)["status"] == "failed"


def test_a_forgotten_job_takes_its_file_with_it(folder: Path, replicas: Replicas, recordings: Recordings) -> None:
    here, there = replicas
    job = submit(here, recordings.talk("forget.mp3", 7))
    finished(here, job)
    assert job in spooled(folder)  # for a retry
    there.delete(f"/jobs/{job}").raise_for_status()
    assert job not in spooled(folder)
    assert here.get(f"/status/{job}").status_code == 404


def test_windows_of_different_jobs_share_a_batch(cluster: Cluster, replicas: Replicas, recordings: Recordings) -> None:
    before = batches(cluster)
    clips = [recordings.talk(f"batch-{number}.wav", 6 + number) for number in range(8)]
    with ThreadPoolExecutor(8) as pool:
        jobs = list(pool.map(lambda clip: submit(replicas[0], clip, language="en"), clips))
    for job in jobs:
        finished(replicas[1], job)
    after = batches(cluster)
    windows, formed = (after[number] - before[number] for number in (0, 1))
    assert windows == 8  # one of each recording
    assert formed < windows


def batches(cluster: Cluster) -> tuple[float, float]:
    """Windows that the workers have decoded, and the batches that they were in."""
    text = "".join(
        ask(f"http://127.0.0.1:{worker.environment['METRICS_PORT']}/metrics").text for worker in cluster.workers
    )
    lines = [line for line in text.splitlines() if line.startswith("bentoml_service_adaptive_batch_size_")]
    figures = [sum(float(line.split()[-1]) for line in lines if kind in line) for kind in ("_sum", "_count")]
    return figures[0], figures[1]


def test_a_worker_that_is_stopped_hands_its_windows_back_and_another_goes_on(
    cluster: Cluster, replicas: Replicas, recordings: Recordings
) -> None:
    job = submit(replicas[0], recordings.speech("handed.mp3", 130), beam_size="10")
    assert wait_until(lambda: status(replicas[0], job)["progress"] >= 15, PATIENCE)
    busy = busy_worker(cluster)
    progress = status(replicas[0], job)["progress"]
    assert busy.stop() < STOP_SECONDS
    try:
        assert status(replicas[1], job)["progress"] >= progress
        done = finished(replicas[1], job)
        assert (done["status"], done["attempts"]) == ("completed", 2)
        assert len(log_lines(cluster, "job_completed", job)) == 1
        starts = [segment["start"] for segment in segments_of(read_events(replicas[0], job))]
        assert starts == sorted(starts)
        assert len(starts) == len(set(starts))
    finally:
        busy.start()


def test_a_worker_that_stands_still_is_killed_and_another_completes_its_job(
    cluster: Cluster, replicas: Replicas, recordings: Recordings
) -> None:
    job = submit(replicas[0], recordings.speech("frozen.mp3", 140), beam_size="10")
    assert wait_until(lambda: status(replicas[0], job)["progress"] >= 15, PATIENCE)
    busy = busy_worker(cluster)
    assert busy.process
    busy.process.send_signal(signal.SIGSTOP)
    try:
        assert busy.process.wait(PATIENCE) == -signal.SIGKILL
        assert finished(replicas[1], job)["status"] == "completed"
        assert len(log_lines(cluster, "job_completed", job)) == 1
    finally:
        busy.start()


def busy_worker(cluster: Cluster) -> Member:
    """The worker that has begun the only job: the one that holds windows. Between two of them it holds none."""
    found: list[Member] = []

    def is_found() -> bool:
        found.extend(worker for worker in cluster.workers if holds_windows(worker))
        return bool(found)

    assert wait_until(is_found, PATIENCE)
    return found[0]


def holds_windows(worker: Member) -> bool:
    text = ask(f"http://127.0.0.1:{worker.environment['METRICS_PORT']}/metrics").text
    active = [line for line in text.splitlines() if line.startswith("transcription_active ")]
    return bool(active) and float(active[0].split()[1]) > 0


def test_replicas_are_restarted_one_by_one_and_no_accepted_work_is_lost(
    cluster: Cluster, replicas: Replicas, recordings: Recordings
) -> None:
    jobs = [submit(replicas[number % 2], recordings.talk(f"roll-{number}.mp3", 31 + number)) for number in range(6)]
    for number, member in enumerate([*cluster.apis, *cluster.workers]):
        member.stop()
        member.start()
        jobs.append(submit(replicas[number % 2], recordings.talk(f"rolled-{number}.mp3", 11 + number)))
    assert [finished(replicas[0], job)["status"] for job in jobs] == ["completed"] * len(jobs)
    assert all(len(log_lines(cluster, "job_completed", job)) == 1 for job in jobs)


def test_a_callback_comes_once_from_whichever_replica(
    replicas: Replicas, recordings: Recordings, receiver: tuple[str, list[str]]
) -> None:
    url, told = receiver
    jobs = [submit(replica, recordings.talk("call.mp3", 9), callback_url=url) for replica in replicas]
    assert wait_until(lambda: len(told) >= 2, PATIENCE)
    for job in jobs:
        assert wait_until(partial(delivered, replicas[0], job), PATIENCE)
    assert sorted(told) == sorted(jobs)


def delivered(replica: httpx.Client, job: str) -> bool:
    return bool(status(replica, job)["callback"]["state"] == "delivered")


@pytest.fixture
def receiver() -> Iterator[tuple[str, list[str]]]:
    """Where callbacks go, and the ids of the jobs that came."""
    told: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            told.append(self.headers["Webhook-Id"])
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/done", told
        server.shutdown()


def test_a_key_that_is_added_or_taken_away_is_so_at_every_replica(replicas: Replicas, keys_file: Path) -> None:
    def answers(key: str) -> list[int]:
        return [replica.get("/jobs", headers={"X-API-Key": key}).status_code for replica in replicas]

    assert answers(OTHER_KEY) == [403, 403]
    keys_file.write_text(entry("first", KEY) + entry("second", OTHER_KEY))
    assert wait_until(lambda: answers(OTHER_KEY) == [200, 200])
    keys_file.write_text(entry("first", KEY))
    assert wait_until(lambda: answers(OTHER_KEY) == [403, 403])


def test_without_redis_a_replica_is_not_ready_says_why_and_comes_back(
    cluster: Cluster, replicas: Replicas, recordings: Recordings
) -> None:
    here, there = replicas
    job = submit(here, recordings.speech("before.mp3", 120), beam_size="10")
    assert wait_until(lambda: status(here, job)["progress"] > 0, PATIENCE)
    cluster.redis.kill()
    try:
        ready = there.get("/health/ready")
        assert (ready.status_code, ready.json()["checks"]["job_store"]) == (503, False)
        refused = post(here, recordings.talk("during.mp3", 6), **{"async": "true"})
        assert (refused.status_code, refused.json()["error"]) == (503, "service_unavailable")
        assert "retry-after" in refused.headers
        assert post(there, recordings.talk("waits.mp3", 6)).status_code == 200  # who waits needs no store
    finally:
        cluster.redis.start()
    assert wait_until(lambda: there.get("/health/ready").status_code == 200, PATIENCE)
    assert finished(there, job)["status"] == "completed"
