"""Jobs over HTTP, as clients use them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path

import httpx
import pytest

from tests.support.answers import assert_error
from tests.support.clips import SpokenClip
from tests.support.connections import connect, form_with, request_head
from tests.support.jobs import PATIENCE, finished, post, read_events, segments_of, status, submit
from tests.support.load import wait_until_idle, windows_begun
from tests.support.recordings import Recordings
from tests.support.service import UNSHARED, LocalService, local_service
from tests.support.waiting import wait_until

SLOTS = 2
FORMATS = ("json", "text", "srt", "vtt", "tsv", "lrc", "verbose_json")


@pytest.fixture(scope="module")
def jobs_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("jobs")


@pytest.fixture(scope="module")
def keeper(jobs_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalService]:
    """A service that stores results and answers from them."""
    folder = tmp_path_factory.mktemp("keeper")
    environment = {
        "JOBS_DIR": str(jobs_dir),
        "JOB_CONCURRENCY": "2",
        "WHISPER_LAYOUT": f"{SLOTS}x1x1",
    }
    with local_service(environment, folder / "log") as service:
        yield service


@pytest.fixture(scope="module")
def http(keeper: LocalService) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=keeper.url, timeout=PATIENCE) as client:
        yield client


def long_recording(recordings: Recordings, seconds: int) -> Path:
    """Distinct lengths are distinct recordings, so that no test is answered from another's result."""
    return recordings.talk(f"job-{seconds}.mp3", seconds)


def spool(jobs_dir: Path) -> list[str]:
    return [path.name for path in (jobs_dir / "spool").iterdir()]


@pytest.mark.parametrize("query", [True, False])
def test_a_job_is_accepted_done_and_answers_as_a_synchronous_request_does(
    http: httpx.Client, spoken_clip: SpokenClip, query: bool
) -> None:
    fields = {"language": "en", "beam_size": "4" if query else "3"}
    if query:
        answer = post(http, spoken_clip.path, query="?async=true", **fields)
    else:
        answer = post(http, spoken_clip.path, **{"async": "true", **fields})
    accepted = answer.json()
    assert answer.status_code == 202
    assert set(accepted) == {"job_id", "status", "message", "status_url"}
    assert answer.headers["location"] == accepted["status_url"] == f"/status/{accepted['job_id']}"

    done = finished(http, accepted["job_id"])
    assert (done["status"], done["progress"], done["attempts"]) == ("completed", 100, 1)
    assert done["created_at"] <= done["completed_at"] < done["expires_at"]
    synchronous = post(http, spoken_clip.path, UNSHARED, **fields).json()
    assert {**done["result"], "processing_time": 0} == {**synchronous, "processing_time": 0}


def test_a_job_reports_monotonic_progress_and_its_text_so_far(http: httpx.Client, recordings: Recordings) -> None:
    recording = long_recording(recordings, 140)
    job = submit(http, recording, language="en")
    seen = []
    while (answer := http.get(f"/status/{job}", params={"partial": "true"}).json())["status"] != "completed":
        assert answer["status"] in ("queued", "processing")
        seen.append(answer)
        time.sleep(0.1)
    progress = [answer["progress"] for answer in seen]
    assert progress == sorted(progress)
    assert any(0 < value < 100 for value in progress)
    told = [answer for answer in seen if answer["estimated_completion"]]
    assert told
    assert all(answer["estimated_completion"] > answer["created_at"] for answer in told)
    texts = [answer["partial"] for answer in seen if answer["partial"]]
    assert texts
    assert all(later.startswith(earlier) for earlier, later in pairwise(texts))


def test_a_recording_without_sound_fails_at_once_and_says_why(http: httpx.Client, recordings: Recordings) -> None:
    path = recordings.picture_only("mute.mp4")
    job = finished(http, submit(http, path))
    synchronous = assert_error(post(http, path), 422, "no_audio_stream")
    assert (job["status"], job["error"], job["attempts"]) == ("failed", "no_audio_stream", 1)
    assert job["detail"].startswith(synchronous["message"])
    assert job["failed_at"] >= job["created_at"]


def test_a_bad_file_fails_while_its_turn_has_not_come(http: httpx.Client, recordings: Recordings) -> None:
    busy = [submit(http, long_recording(recordings, 301 + number), beam_size="10") for number in range(2)]
    bad = submit(http, recordings.bytes_of("bad.mp3", b"ID3" + bytes(1000)))
    assert finished(http, bad)["status"] == "failed"
    assert [status(http, job)["status"] for job in busy] != ["completed"] * 2
    for job in busy:
        http.delete(f"/jobs/{job}")


@pytest.mark.parametrize("name", FORMATS)
def test_a_result_comes_in_every_format_without_being_transcribed_again(
    http: httpx.Client, spoken_clip: SpokenClip, name: str
) -> None:
    job = submit(http, spoken_clip.path, response_format="srt")
    finished(http, job)
    answer = http.get(f"/jobs/{job}/result", params={"response_format": name})
    synchronous = post(http, spoken_clip.path, response_format=name)
    assert synchronous.headers["cache-status"] == "transcription; hit"
    assert (answer.text, answer.headers["content-type"]) == (synchronous.text, synchronous.headers["content-type"])
    if name == "srt":
        assert http.get(f"/jobs/{job}/result").text == answer.text


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/status/unknown"),
        ("GET", "/jobs/unknown"),
        ("GET", "/jobs/unknown/result"),
        ("GET", "/jobs/unknown/events"),
        ("DELETE", "/jobs/unknown"),
        ("POST", "/jobs/unknown/retry"),
    ],
)
def test_an_unknown_job_is_a_404(http: httpx.Client, method: str, path: str) -> None:
    assert_error(http.request(method, path), 404, "unknown_job")


def test_jobs_are_listed_newest_first_page_by_page(http: httpx.Client, spoken_clip: SpokenClip) -> None:
    mine = [submit(http, spoken_clip.path) for _ in range(3)]
    for job in mine:
        finished(http, job)
    first = http.get("/jobs", params={"status": "completed", "limit": 2}).json()
    rest = http.get("/jobs", params={"limit": 2, "cursor": first["next_cursor"]}).json()
    listed = [job["job_id"] for job in first["jobs"] + rest["jobs"]]
    assert listed[:3] == mine[::-1]
    assert http.get("/jobs", params={"status": "queued"}).json() == {"jobs": [], "next_cursor": None}
    assert_error(http.get("/jobs", params={"status": "lost"}), 422, "invalid_parameter")


def test_a_cancelled_job_stops_and_leaves_no_files(
    http: httpx.Client, recordings: Recordings, jobs_dir: Path, spoken_clip: SpokenClip
) -> None:
    job = submit(http, long_recording(recordings, 590), beam_size="10")
    assert wait_until(lambda: status(http, job)["progress"] > 0, PATIENCE)
    answer = http.delete(f"/jobs/{job}")
    assert (answer.status_code, answer.json()["status"]) == (200, "cancelled")
    assert job not in spool(jobs_dir)
    ended = status(http, job)
    assert (ended["status"], ended["error"]) == ("cancelled", "cancelled")
    assert_error(http.get(f"/jobs/{job}/result"), 409, "wrong_job_state")
    assert_error(http.post(f"/jobs/{job}/retry"), 409, "wrong_job_state")
    assert wait_until_idle(http)
    assert post(http, spoken_clip.path, UNSHARED).status_code == 200


def test_a_finished_job_is_deleted_with_all_that_belongs_to_it(
    http: httpx.Client, spoken_clip: SpokenClip, jobs_dir: Path
) -> None:
    job = submit(http, spoken_clip.path, headers=UNSHARED)
    finished(http, job)
    assert http.delete(f"/jobs/{job}").status_code == 200
    assert_error(http.get(f"/status/{job}"), 404, "unknown_job")
    assert job not in spool(jobs_dir)


def test_a_failed_job_can_be_retried(http: httpx.Client, recordings: Recordings) -> None:
    job = submit(http, recordings.picture_only("mute.mp4"))
    finished(http, job)
    answer = http.post(f"/jobs/{job}/retry")
    assert (answer.status_code, answer.headers["location"]) == (202, f"/status/{job}")
    assert finished(http, job)["error"] == "no_audio_stream"


def test_an_unfinished_job_has_no_result_and_needs_no_retry(http: httpx.Client, recordings: Recordings) -> None:
    job = submit(http, long_recording(recordings, 303), beam_size="10")
    assert_error(http.get(f"/jobs/{job}/result"), 409, "wrong_job_state")
    assert_error(http.post(f"/jobs/{job}/retry"), 409, "wrong_job_state")
    http.delete(f"/jobs/{job}")


def test_events_report_progress_and_every_segment_and_resume_where_they_broke_off(
    http: httpx.Client, recordings: Recordings
) -> None:
    job = submit(http, long_recording(recordings, 100), language="en", hallucinations="keep")
    beginning = read_events(http, job, most=2)
    rest = read_events(http, job, last=beginning[-1]["id"])
    assert rest[-1]["event"] == "completed"
    assert rest[-1]["data"]["result_url"] == f"/jobs/{job}/result"
    assert {"progress"} <= {event["event"] for event in beginning + rest}
    whole = http.get(f"/jobs/{job}/result").json()["segments"]
    told = segments_of(beginning) + segments_of(rest)
    assert told == [{key: segment[key] for key in ("start", "end", "text")} for segment in whole]
    assert segments_of(read_events(http, job)) == told  # also when all is over


def test_events_of_a_failed_job_end_with_the_reason(http: httpx.Client, recordings: Recordings) -> None:
    [*_, last] = read_events(http, submit(http, recordings.picture_only("mute.mp4")))
    assert (last["event"], last["data"]["error"]) == ("failed", "no_audio_stream")


def test_identical_requests_at_the_same_time_cost_one(http: httpx.Client, recordings: Recordings) -> None:
    path = long_recording(recordings, 90)
    alone = windows_begun(http)
    assert post(http, path, UNSHARED, language="en").headers["cache-status"].startswith("transcription; fwd=bypass")
    alone = windows_begun(http) - alone
    before = windows_begun(http)
    job = submit(http, path, language="en")
    with ThreadPoolExecutor(3) as clients:
        answers = list(clients.map(lambda _: post(http, path, language="en"), range(3)))
    assert len({answer.json()["text"] for answer in answers}) == 1
    assert finished(http, job)["result"]["text"] == answers[0].json()["text"]
    assert windows_begun(http) - before == alone
    assert any("detail=join" in answer.headers["cache-status"] for answer in answers)


def test_a_client_that_gives_up_and_retries_does_not_begin_again(
    http: httpx.Client, keeper: LocalService, recordings: Recordings
) -> None:
    # A slow one: the client leaves while there is work left.
    path, query = recordings.speech("gives-up.mp3", 300), "?language=en"
    before = windows_begun(http)
    assert post(http, path, UNSHARED, query).status_code == 200
    alone = windows_begun(http) - before
    before = windows_begun(http)
    body = form_with(path.read_bytes())
    for done in (alone / 4, alone / 2):
        with connect(keeper) as connection:
            connection.sendall(request_head("gives-up", len(body), query) + body)
            assert wait_until(lambda done=done: windows_begun(http) - before >= done, PATIENCE)
    answer = http.post(f"/transcribe{query}", content=body, headers={"Content-Type": "multipart/form-data; boundary=b"})
    assert answer.status_code == 200
    # What was on the device when the client left is decoded again, and what was done before an earlier window was.
    assert windows_begun(http) - before <= alone + 2 * 2 * SLOTS


def test_a_result_is_reused_for_the_same_request_unless_it_asks_for_fresh_work(
    http: httpx.Client, recordings: Recordings
) -> None:
    path = long_recording(recordings, 31)
    assert post(http, path, UNSHARED).headers["cache-status"] == "transcription; fwd=bypass; detail=bypass"
    assert post(http, path).headers["cache-status"] == "transcription; fwd=miss; detail=miss"
    before = windows_begun(http)
    assert post(http, path).headers["cache-status"] == "transcription; hit"
    assert finished(http, submit(http, path))["status"] == "completed"
    assert windows_begun(http) == before
    assert "fwd=bypass" in post(http, path, UNSHARED).headers["cache-status"]
    assert windows_begun(http) > before


def test_the_same_idempotency_key_is_the_same_job(http: httpx.Client, spoken_clip: SpokenClip) -> None:
    key = {"Idempotency-Key": "order-66"}
    job = submit(http, spoken_clip.path, headers=key)
    assert submit(http, spoken_clip.path, headers=key) == job
    other = post(http, spoken_clip.path, key, **{"async": "true", "language": "de"})
    assert_error(other, 409, "idempotency_conflict")
    assert_error(
        post(http, spoken_clip.path, {"Idempotency-Key": "x" * 256}, **{"async": "true"}), 422, "invalid_parameter"
    )


def test_a_callback_needs_a_job_and_an_address_that_may_be_called(http: httpx.Client, spoken_clip: SpokenClip) -> None:
    here = {"callback_url": "https://example.com/done"}
    assert "async" in assert_error(post(http, spoken_clip.path, **here), 422, "invalid_parameter")["message"]
    answer = post(http, spoken_clip.path, **{"async": "true", **here})
    assert "WEBHOOK_SECRET" in assert_error(answer, 422, "invalid_parameter")["message"]
