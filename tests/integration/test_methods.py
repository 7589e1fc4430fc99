"""HEAD wherever GET is, OPTIONS everywhere, and Allow as it is."""

from __future__ import annotations

import re

import httpx
import pytest

from tests.support.answers import assert_error
from tests.support.clips import SpokenClip
from tests.support.connections import connect
from tests.support.jobs import finished, submit
from tests.support.routes import served_routes
from tests.support.service import LocalService

PARAMETER = re.compile(r"\{[^}]+\}")
OF_THE_MOMENT = {"date", "x-request-id", "x-bentoml-request-id", "x-bentoml-trace-id"}
CHANGING_BODIES = {"/metrics", "/health", "/jobs"}
FILE = "/static_content/swagger-ui.css"
STATUSES = {"/": 307, "/redoc": 307}  # they lead to other pages; all others are 200


@pytest.fixture(scope="module")
def routes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, set[str]]:
    """The methods of each path, as it is listed."""
    methods: dict[str, set[str]] = {}
    for method, path in served_routes(tmp_path_factory.mktemp("routes")):
        methods.setdefault(path, set()).add(method)
    return methods


@pytest.fixture(scope="module")
def job(client: httpx.Client, spoken_clip: SpokenClip) -> str:
    job_id = submit(client, spoken_clip.path)
    assert finished(client, job_id)["status"] == "completed"
    return job_id


@pytest.fixture(scope="module")
def readable(routes: dict[str, set[str]], job: str) -> list[str]:
    """Every path with GET, filled in, but the one that transcribes."""
    paths = [path for path, methods in routes.items() if "GET" in methods and path != "/transcribe"]
    known = {"job_id": job, "model": "demo"}
    filled = [PARAMETER.sub(lambda match: known.get(match[0].strip("{}"), job), path) for path in paths]
    tasks = {path: f"{path}?task_id={job}" for path in filled if path.startswith("/api/transcribe_job/")}
    return [FILE if path == "/static_content/" else tasks.get(path, path) for path in filled]


def lasting(answer: httpx.Response) -> dict[str, str]:
    """The headers that are the same each time."""
    changing = OF_THE_MOMENT | ({"content-length"} if answer.request.url.path in CHANGING_BODIES else set())
    return {name: value for name, value in answer.headers.items() if name not in changing}


def get_headers(client: httpx.Client, path: str) -> httpx.Response:
    with client.stream("GET", path) as answer:  # a stream of events does not end by itself
        return answer


def test_head_has_the_status_and_the_headers_of_get_on_every_route(client: httpx.Client, readable: list[str]) -> None:
    assert len(readable) > 20
    for path in readable:
        head, get = client.head(path), get_headers(client, path)
        assert (path, head.status_code, lasting(head)) == (path, get.status_code, lasting(get))
        assert head.status_code == STATUSES.get(path, 200), path


def test_head_has_no_body(service: LocalService, readable: list[str]) -> None:
    for path in readable:
        with connect(service) as connection:
            connection.sendall(f"HEAD {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
            answer = b""
            while block := connection.recv(65536):
                answer += block
        assert answer.startswith(f"HTTP/1.1 {STATUSES.get(path, 200)} ".encode()), path
        assert answer.endswith(b"\r\n\r\n"), path
        assert answer.count(b"\r\n\r\n") == 1, path


@pytest.mark.parametrize("path", ["/jobs/nothing", "/status/nothing", "/jobs/nothing/events", "/nowhere"])
def test_head_of_what_does_not_exist_is_404(client: httpx.Client, path: str) -> None:
    assert client.head(path).status_code == get_headers(client, path).status_code == 404


def test_head_of_a_recording_at_a_url_checks_the_request_and_fetches_nothing(client: httpx.Client) -> None:
    url = {"url": "https://example.invalid/talk.mp3"}
    answer = client.head("/transcribe", params={**url, "response_format": "srt"})
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/x-subrip; charset=utf-8")
    assert client.head("/transcribe", params={**url, "async": "true"}).status_code == 202
    assert client.head("/transcribe").status_code == 422
    assert client.head("/transcribe", params={**url, "beam_size": "0"}).status_code == 422


def test_every_route_says_which_methods_it_has(client: httpx.Client, routes: dict[str, set[str]]) -> None:
    for path, methods in routes.items():
        target = FILE if path == "/static_content/" else PARAMETER.sub("some-id", path)
        allow = methods | {"OPTIONS"} | ({"HEAD"} if "GET" in methods else set())
        options = client.options(target)
        assert (path, options.status_code, set(options.headers["allow"].split(", "))) == (path, 204, allow)
        refused = client.patch(target)
        assert (path, refused.status_code, set(refused.headers["allow"].split(", "))) == (path, 405, allow)


def test_the_options_of_a_path_without_a_route_are_404(client: httpx.Client) -> None:
    assert_error(client.options("/nowhere"), 404, "not_found")
