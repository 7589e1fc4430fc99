"""What pages of other sites can do to a service without API keys through a visitor's browser: nothing."""

from __future__ import annotations

import re
from pathlib import Path

import httpx
import pytest

from tests.support.answers import assert_error
from tests.support.clips import SpokenClip
from tests.support.connections import connect
from tests.support.routes import served_routes
from tests.support.service import DidNotStart, LocalService, local_service
from transcription.api.openai.errors import is_openai

EVIL = "http://evil.example"
PARAMETER = re.compile(r"\{[^}]+\}")


@pytest.fixture(scope="module")
def routes(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[str, str]]:
    """(method, path) of every route, the parameters filled in."""
    listed = served_routes(tmp_path_factory.mktemp("routes"))
    return [(method, PARAMETER.sub("some-job", path)) for method, path in listed]


def code_of(answer: httpx.Response) -> str:
    error = answer.json()["error"]
    return str(error["code"] if is_openai(answer.request.url.path) else error)


def test_no_route_is_answered_for_the_host_name_of_a_stranger(
    client: httpx.Client, routes: list[tuple[str, str]]
) -> None:
    answers = {route: client.request(*route, headers={"Host": "rebound.evil.example"}) for route in routes}
    assert len(answers) > 40
    assert {route: answer.status_code for route, answer in answers.items() if answer.status_code != 403} == {}
    assert {code_of(answer) for (method, _), answer in answers.items() if method != "HEAD"} == {"host_not_allowed"}


def test_the_host_of_a_target_in_absolute_form_counts_instead_of_the_header(
    client: httpx.Client, routes: list[tuple[str, str]]
) -> None:
    for method, path in routes:
        answer = client.request(method, path, extensions={"target": f"http://rebound.evil.example{path}".encode()})
        assert answer.status_code == 403, (method, path)
    ours = {"target": b"http://localhost/jobs?limit=1"}
    answer = client.get("/jobs", headers={"Host": "rebound.evil.example"}, extensions=ours)
    assert answer.status_code == 200
    assert "jobs" in answer.json()


def test_no_route_changes_anything_for_a_page_of_another_site(
    client: httpx.Client, routes: list[tuple[str, str]]
) -> None:
    changing = [route for route in routes if route[0] not in ("GET", "HEAD")]
    answers = {route: client.request(*route, headers={"Origin": EVIL}) for route in changing}
    assert len(answers) > 10
    assert {route: answer.status_code for route, answer in answers.items() if answer.status_code != 403} == {}
    assert {code_of(answer) for answer in answers.values()} == {"cross_site_request"}


def test_a_form_of_another_site_submits_no_job(client: httpx.Client, spoken_clip: SpokenClip) -> None:
    before = client.get("/jobs").json()
    file = {"file": (spoken_clip.path.name, spoken_clip.path.read_bytes())}
    answer = client.post("/transcribe", files=file, data={"async": "true"}, headers={"Origin": EVIL})
    assert "CORS_ORIGINS" in assert_error(answer, 403, "cross_site_request")["message"]
    assert client.get("/jobs").json() == before


@pytest.mark.parametrize("path", ["/transcribe", "/transcribe%0A"])
def test_a_page_of_another_site_has_nothing_fetched(client: httpx.Client, path: str) -> None:
    """Also at a path that ends in a line break, which reaches the same endpoint."""
    address = f"{path}?async=true&url=https://x.example/a.mp3"
    assert_error(client.get(address, headers={"Origin": EVIL}), 403, "cross_site_request")


def test_an_upload_for_a_page_of_another_site_is_refused_before_its_body(service: LocalService) -> None:
    head = (
        f"POST /transcribe HTTP/1.1\r\nHost: x\r\nOrigin: {EVIL}\r\nExpect: 100-continue\r\nContent-Length: 9\r\n\r\n"
    )
    with connect(service) as connection:
        connection.sendall(head.encode())
        assert connection.recv(65536).startswith(b"HTTP/1.1 403 ")


def test_the_page_of_the_service_itself_submits_jobs(client: httpx.Client, spoken_clip: SpokenClip) -> None:
    origin = str(client.base_url).rstrip("/")
    file = {"file": (spoken_clip.path.name, spoken_clip.path.read_bytes())}
    accepted = client.post("/transcribe", files=file, data={"async": "true"}, headers={"Origin": origin})
    assert accepted.status_code == 202
    deleted = client.delete(f"/jobs/{accepted.json()['job_id']}", headers={"Origin": origin})
    assert deleted.status_code == 200


def test_a_refusal_has_a_request_id_and_is_logged(client: httpx.Client, service: LocalService) -> None:
    answer = client.get("/jobs", headers={"Host": "logged.evil.example"})
    body = assert_error(answer, 403, "host_not_allowed")
    assert "ALLOWED_HOSTS" in body["message"]
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert '"status_code": 403' in service.logged(body["request_id"], '"message": "request"')


@pytest.mark.parametrize("host", ["", "Host: nas.local\r\nHost: evil.example\r\n"])
def test_a_missing_and_a_repeated_host_are_no_requests_of_http_1_1(service: LocalService, host: str) -> None:
    with connect(service) as connection:
        connection.sendall(f"GET /jobs HTTP/1.1\r\n{host}Connection: close\r\n\r\n".encode())
        assert connection.recv(65536).startswith(b"HTTP/1.1 400 ")


def test_a_load_balancer_may_probe_with_http_1_0(service: LocalService) -> None:
    for path, status in (("/health/live", 200), ("/jobs", 403)):
        with connect(service) as connection:
            connection.sendall(f"GET {path} HTTP/1.0\r\n\r\n".encode())
            assert connection.recv(65536).split(b" ")[1] == str(status).encode()


def test_a_name_that_no_host_can_have_stops_the_start(tmp_path: Path) -> None:
    wrong = {"ALLOWED_HOSTS": "https://speech.example.com"}
    with (
        pytest.raises(DidNotStart, match=r"ALLOWED_HOSTS: 'https://speech\.example\.com' is not a host name"),
        local_service(wrong, tmp_path / "service.log"),
    ):
        pass
