"""Jobs, results and the cache of one API key, as other keys find them."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPResponse
from typing import Any

import httpx
import pytest

from tests.support.answers import assert_error
from tests.support.api_keys import entry
from tests.support.clips import SpokenClip
from tests.support.connections import connect
from tests.support.jobs import finished, post, status, submit
from tests.support.load import windows_begun
from tests.support.recordings import Recordings
from tests.support.service import LocalService, local_service
from tests.support.waiting import wait_until
from transcription.api.app import create_app
from transcription.api.middleware.api_keys import make_key
from transcription.api.routes import tasks
from transcription.api.routes.native_input import TASK_ROUTE
from transcription.core.settings import Settings

NAMES = ("ada", "bob", "root")
KEYS = {name: make_key() for name in NAMES}
HOOK = "https://127.0.0.1:9/hooks/1"
MAX_OPEN_JOBS = 4
TOKEN = "?token=hunter2#part"
LARGE = 100_000_000  # bytes
ASYNC_AND_FILE = (
    b'--b\r\nContent-Disposition: form-data; name="async"\r\n\r\ntrue\r\n'
    b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.mp3"\r\n\r\n'
)


@pytest.fixture(scope="module")
def keyed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalService]:
    """A service with two plain keys and an admin key."""
    folder = tmp_path_factory.mktemp("owners")
    (folder / "keys.toml").write_text("".join(entry(name, KEYS[name], admin=name == "root") for name in NAMES))
    environment = {
        "ENABLE_API_KEY": "true",
        "API_KEYS_FILE": str(folder / "keys.toml"),
        "WEBHOOK_SECRET": "s" * 32,
        "WEBHOOK_ALLOW": "127.0.0.1",
        "JOB_CONCURRENCY": "1",
        "MAX_OPEN_JOBS": str(MAX_OPEN_JOBS),
    }
    with local_service(environment, folder / "service.log") as running:
        yield running


@pytest.fixture(scope="module")
def clients(keyed: LocalService) -> Iterator[dict[str, httpx.Client]]:
    """A client per key."""
    opened = {
        name: httpx.Client(base_url=keyed.url, timeout=180, headers={"X-API-Key": key}) for name, key in KEYS.items()
    }
    yield opened
    for client in opened.values():
        client.close()


@pytest.fixture(scope="module")
def ada(clients: dict[str, httpx.Client]) -> httpx.Client:
    return clients["ada"]


@pytest.fixture(scope="module")
def bob(clients: dict[str, httpx.Client]) -> httpx.Client:
    return clients["bob"]


@pytest.fixture(scope="module")
def root(clients: dict[str, httpx.Client]) -> httpx.Client:
    return clients["root"]


@pytest.fixture(scope="module")
def job(ada: httpx.Client, spoken_clip: SpokenClip) -> str:
    """A completed job of ada's."""
    job_id = submit(ada, spoken_clip.path, {"Idempotency-Key": "mine"}, callback_url=HOOK + TOKEN)
    assert finished(ada, job_id)["status"] == "completed"
    return job_id


def routes_of(job_id: str) -> list[tuple[str, str]]:
    """(method, path) of every route that names a job."""
    documented = create_app(Settings()).openapi()["paths"]
    mounted = [
        (method.upper(), path.replace("{job_id}", job_id))
        for path, methods in documented.items()
        for method in methods
        if "{job_id}" in path
    ]
    native = [
        (method, f"{route.path}?task_id={job_id}")
        for route in tasks.ROUTES
        for method in route.methods or ()
        if not route.path.endswith("/submit") and method != "HEAD"
    ]
    return [*mounted, *native]


def listed(client: httpx.Client, query: str = "") -> list[dict[str, Any]]:
    jobs: list[dict[str, Any]] = client.get(f"/jobs?limit=200{query}").json()["jobs"]
    return jobs


def test_every_route_answers_another_key_as_if_there_were_no_such_job(
    bob: httpx.Client, ada: httpx.Client, job: str
) -> None:
    routes = routes_of(job)
    assert len(routes) >= 9
    unknown = bob.get("/status/never-was").json()["message"]
    for method, path in routes:
        answer = bob.request(method, path)
        assert_error(answer, 404, "unknown_job")
        assert answer.json()["message"] == unknown.replace("never-was", job)
    assert status(ada, job)["status"] == "completed"


def test_a_list_has_the_jobs_of_the_key_that_asks(ada: httpx.Client, bob: httpx.Client, job: str) -> None:
    assert job in [item["job_id"] for item in listed(ada)]
    assert job not in [item["job_id"] for item in listed(bob)]
    assert job not in [item["job_id"] for item in listed(bob, "&status=completed")]


def test_an_admin_key_sees_all_jobs_and_their_owners(root: httpx.Client, job: str) -> None:
    assert {item["job_id"]: item["owner"] for item in listed(root)}[job] == "ada"
    assert status(root, job)["owner"] == "ada"
    assert root.get(f"/jobs/{job}/result").status_code == 200


def test_an_admin_key_can_list_the_jobs_of_one_key(root: httpx.Client, job: str) -> None:
    assert job in [item["job_id"] for item in listed(root, "&owner=ada")]
    assert listed(root, "&owner=bob") == [item for item in listed(root) if item["owner"] == "bob"]


def test_other_keys_see_no_owner_and_cannot_ask_for_one(ada: httpx.Client, job: str) -> None:
    assert "owner" not in status(ada, job)
    assert all("owner" not in item for item in listed(ada))
    assert_error(ada.get("/jobs?owner=ada"), 422, "invalid_parameter")


def test_idempotency_keys_of_two_keys_are_apart(bob: httpx.Client, job: str, spoken_clip: SpokenClip) -> None:
    own = submit(bob, spoken_clip.path, {"Idempotency-Key": "mine"}, language="en")
    assert own != job
    assert submit(bob, spoken_clip.path, {"Idempotency-Key": "mine"}, language="en") == own
    finished(bob, own)


@pytest.mark.parametrize(
    ("door", "field", "parameters"),
    [
        ("/transcribe", "file", {"hotwords": "native"}),
        ("/api/transcribe", "file", {"hotwords": "bentoml"}),
        ("/v1/audio/transcriptions", "file", {"model": "whisper-1", "prompt": "openai"}),
        ("/asr?initial_prompt=asr", "audio_file", {}),
    ],
)
def test_a_result_of_another_key_answers_nothing(
    ada: httpx.Client, bob: httpx.Client, spoken_clip: SpokenClip, door: str, field: str, parameters: dict[str, str]
) -> None:
    def cache_status(client: httpx.Client) -> str:
        file = {field: (spoken_clip.path.name, spoken_clip.path.read_bytes())}
        return client.post(door, files=file, data=parameters).headers["cache-status"]

    assert [cache_status(ada) for _ in range(2)] == ["transcription; fwd=miss; detail=miss", "transcription; hit"]
    assert cache_status(bob) == "transcription; fwd=miss; detail=miss"


def test_a_task_belongs_to_the_key_that_submitted_it(
    ada: httpx.Client, bob: httpx.Client, spoken_clip: SpokenClip
) -> None:
    file = {"file": (spoken_clip.path.name, spoken_clip.path.read_bytes())}
    task = ada.post("/api/transcribe_job/submit", files=file).json()["task_id"]
    assert finished(ada, task)["status"] == "completed"
    assert_error(bob.get(f"/api/transcribe_job/get?task_id={task}"), 404, "unknown_job")
    assert task not in [item["job_id"] for item in listed(bob)]


def test_a_job_is_not_completed_by_the_result_of_another_key(
    ada: httpx.Client, bob: httpx.Client, spoken_clip: SpokenClip
) -> None:
    post(ada, spoken_clip.path, beam_size="3")
    assert finished(bob, submit(bob, spoken_clip.path, beam_size="3"))["attempts"] == 1
    assert finished(ada, submit(ada, spoken_clip.path, beam_size="3"))["attempts"] == 0


def test_a_callback_url_is_shown_without_its_secrets(ada: httpx.Client, root: httpx.Client, job: str) -> None:
    shown = "https://127.0.0.1:9/hooks/1"
    assert status(ada, job)["callback"]["url"] == shown
    for client in (ada, root):
        assert "hunter2" not in client.get("/jobs").text
        assert [item["callback"]["url"] for item in listed(client) if item["job_id"] == job] == [shown]


def test_no_token_of_a_callback_url_is_logged(keyed: LocalService, job: str) -> None:
    keyed.logged(job)
    assert "hunter2" not in keyed.log.read_text()


def test_an_admin_key_can_delete_the_job_of_another_key(
    ada: httpx.Client, root: httpx.Client, spoken_clip: SpokenClip
) -> None:
    other = submit(ada, spoken_clip.path, {"Cache-Control": "no-store"})
    assert root.delete(f"/jobs/{other}").status_code == 200
    gone = ada.get(f"/status/{other}")
    assert gone.status_code == 404 or gone.json()["status"] == "cancelled"


def answer_to_the_beginning(service: LocalService, path: str, key: str, beginning: bytes) -> httpx.Response:
    """The answer to an upload that declares LARGE bytes and of which only the first are ever sent."""
    head = (
        f"POST {path} HTTP/1.1\r\nHost: localhost\r\nX-API-Key: {key}\r\n"
        f"Content-Type: multipart/form-data; boundary=b\r\nContent-Length: {LARGE}\r\n\r\n"
    )
    with connect(service) as connection:
        connection.sendall(head.encode() + beginning)
        answer = HTTPResponse(connection)
        answer.begin()
        return httpx.Response(answer.status, headers=answer.getheaders(), content=answer.read())


def test_a_key_can_have_a_limited_number_of_unfinished_jobs_and_delays_no_other(
    keyed: LocalService, ada: httpx.Client, bob: httpx.Client, recordings: Recordings, spoken_clip: SpokenClip
) -> None:
    long, unshared = recordings.speech("owners.mp3", 60), {"Cache-Control": "no-store"}
    jobs = [
        submit(ada, long, {"Idempotency-Key": f"long {number}", **unshared}, beam_size="10")
        for number in range(MAX_OPEN_JOBS)
    ]
    refused = post(ada, long, unshared, **{"async": "true"})
    assert_error(refused, 429, "too_many_open_jobs")
    assert int(refused.headers["retry-after"]) > 0
    assert "MAX_OPEN_JOBS" in refused.json()["message"]
    for path, beginning in (
        ("/transcribe?async=true", b""),
        ("/transcribe", ASYNC_AND_FILE),
        ("/api/transcribe", ASYNC_AND_FILE),
        (f"{TASK_ROUTE}/submit", b""),
    ):
        assert_error(answer_to_the_beginning(keyed, path, KEYS["ada"], beginning), 429, "too_many_open_jobs")
    by_url = {"url": "https://example.com/never-fetched.mp3", "async": "true"}
    assert_error(ada.post("/transcribe", data=by_url), 429, "too_many_open_jobs")
    assert_error(
        ada.post("/transcribe", files={name: (None, it) for name, it in by_url.items()}), 429, "too_many_open_jobs"
    )
    again = post(ada, long, {"Idempotency-Key": "long 0", **unshared}, **{"async": "true", "beam_size": "10"})
    assert (again.status_code, again.json()["job_id"]) == (202, jobs[0])
    assert finished(bob, submit(bob, spoken_clip.path, unshared))["status"] == "completed"
    assert [status(ada, job_id)["status"] for job_id in jobs[2:]] == ["queued", "queued"]
    for job_id in jobs:
        ada.delete(f"/jobs/{job_id}")


def test_many_requests_of_one_key_do_not_hold_up_the_one_of_another(
    ada: httpx.Client, bob: httpx.Client, recordings: Recordings
) -> None:
    long, unshared = recordings.speech("turns.wav", 120), {"Cache-Control": "no-store"}
    ended: list[str] = []

    def ask(client: httpx.Client, name: str) -> None:
        assert post(client, long, unshared, beam_size="10").status_code == 200
        ended.append(name)

    before = windows_begun(bob)
    with ThreadPoolExecutor(9) as clients:
        asked = [clients.submit(ask, ada, "ada") for _ in range(8)]
        assert wait_until(lambda: windows_begun(bob) > before)
        asked.append(clients.submit(ask, bob, "bob"))
        for each in asked:
            each.result()
    assert "bob" in ended[:3]  # they take turns, so that two of ada's are done before it at most
