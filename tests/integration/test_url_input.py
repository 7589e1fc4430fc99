"""A recording at a URL, from a real web server on this machine, which URL_ALLOW lets the service read from."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.support.answers import assert_error
from tests.support.clips import SpokenClip
from tests.support.connections import connect
from tests.support.jobs import PATIENCE
from tests.support.leftovers import files_under
from tests.support.service import LocalService, local_service
from tests.support.site import Site, web_server
from tests.support.waiting import wait_until


@pytest.fixture(scope="module")
def site(spoken_clip: SpokenClip) -> Iterator[str]:
    Site.talk = spoken_clip.path.read_bytes()
    with web_server() as url:
        yield url


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("by-url")


@pytest.fixture(scope="module")
def reader(folder: Path) -> Iterator[LocalService]:
    """A service that may read from localhost."""
    environment = {
        "URL_ALLOW": "localhost",
    }
    with local_service(environment, folder / "log") as service:
        yield service


@pytest.fixture(scope="module")
def client(reader: LocalService) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=reader.url, timeout=60) as http:
        yield http


@pytest.fixture(autouse=True)
def nothing_is_left(folder: Path, reader: LocalService) -> Iterator[None]:
    yield
    assert wait_until(lambda: not files_under(folder / "uploads"))


def test_get_with_a_url_has_the_text(client: httpx.Client, site: str, spoken_clip: SpokenClip) -> None:
    answer = client.get("/transcribe", params={"url": f"{site}/talk.mp3", "response_format": "text"})
    assert answer.status_code == 200, answer.text
    assert answer.text == f"{spoken_clip.text}\n"


def test_post_takes_the_url_in_the_query_in_a_form_and_in_a_form_for_files(
    client: httpx.Client, site: str, spoken_clip: SpokenClip
) -> None:
    url = f"{site}/talk.mp3"
    answers = [
        client.post("/transcribe", params={"url": url}),
        client.post("/transcribe", data={"url": url, "language": "en"}),
        client.post("/transcribe", files={"url": (None, url), "language": (None, "en")}),
    ]
    assert [answer.json().get("text") for answer in answers] == [spoken_clip.text] * 3


def test_a_job_may_have_a_url(client: httpx.Client, site: str, spoken_clip: SpokenClip) -> None:
    accepted = client.post("/transcribe", data={"url": f"{site}/talk.mp3", "async": "true"})
    assert accepted.status_code == 202
    job = accepted.json()["job_id"]
    assert wait_until(lambda: client.get(f"/status/{job}").json()["status"] == "completed", PATIENCE)
    assert client.get(f"/jobs/{job}/result").json()["text"] == spoken_clip.text


@pytest.mark.parametrize(
    "form",
    [
        {"beam_size": "many"},
        {"response_format": "rttm"},
        {"response_format": "json", "max_line_width": "40"},
        {"async": "true", "callback_url": "http://example.com/"},
    ],
)
def test_nothing_is_fetched_for_a_form_that_is_refused(client: httpx.Client, site: str, form: dict[str, str]) -> None:
    before = len(Site.requests)
    assert_error(client.post("/transcribe", data={"url": f"{site}/talk.mp3", **form}), 422, "invalid_parameter")
    assert len(Site.requests) == before


def test_the_same_recording_by_url_and_by_upload_is_transcribed_once(client: httpx.Client, site: str) -> None:
    options = {"temperature": "0.1"}
    upload = client.post("/transcribe", files={"file": ("talk.mp3", Site.talk, "audio/mpeg")}, data=options)
    by_url = client.get("/transcribe", params={"url": f"{site}/talk.mp3", **options})
    assert "miss" in upload.headers["cache-status"]
    assert "hit" in by_url.headers["cache-status"]


def test_redirects_are_followed_and_not_to_where_nothing_may_be_read(client: httpx.Client, site: str) -> None:
    assert client.get("/transcribe", params={"url": f"{site}/to/to/talk.mp3"}).status_code == 200
    endless = client.get("/transcribe", params={"url": site + "/to" * 6 + "/talk.mp3"})
    assert_error(endless, 422, "unreachable_url")
    assert_error(client.get("/transcribe", params={"url": f"{site}/elsewhere"}), 422, "invalid_parameter")


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com/a.mp3",
        "https://10.0.0.1/a.mp3",
        "https://[::1]/a.mp3",
        "https://169.254.169.254/latest/meta-data",
        "https://user:password@example.com/a.mp3",
        "https://example.com:8443/a.mp3",
        "file:///etc/passwd",
        "no url",
    ],
)
def test_what_is_not_public_https_is_refused_with_the_remedy(client: httpx.Client, url: str) -> None:
    body = assert_error(client.get("/transcribe", params={"url": url}), 422, "invalid_parameter")
    assert "url" in body["message"].lower()
    assert "WEBHOOK" not in body["message"]


def test_a_redirect_to_nonsense_is_the_hosts_fault_and_not_ours(client: httpx.Client, site: str) -> None:
    assert_error(client.get("/transcribe", params={"url": f"{site}/nonsense"}), 422, "unreachable_url")


def test_what_is_not_there_is_said(client: httpx.Client, site: str) -> None:
    body = assert_error(client.get("/transcribe", params={"url": f"{site}/nowhere.mp3"}), 422, "unreachable_url")
    assert "404" in body["message"]


def test_a_file_and_a_url_are_too_much_and_neither_too_little(client: httpx.Client, site: str) -> None:
    both = client.post("/transcribe", params={"url": f"{site}/talk.mp3"}, files={"file": Site.talk})
    assert_error(both, 422, "invalid_parameter")
    twice = client.post("/transcribe", params={"url": f"{site}/talk.mp3"}, data={"url": f"{site}/talk.mp3"})
    assert_error(twice, 422, "invalid_parameter")
    for answer in (client.get("/transcribe"), client.post("/transcribe", data={"language": "en"})):
        assert "url" in assert_error(answer, 422, "invalid_parameter")["message"]


def test_other_routes_take_no_url(client: httpx.Client, site: str) -> None:
    answer = client.post("/api/transcribe", files={"file": Site.talk}, data={"url": f'"{site}/talk.mp3"'})
    assert "/transcribe only" in assert_error(answer, 422, "invalid_parameter")["message"]


def test_a_client_that_leaves_ends_the_fetching(reader: LocalService, site: str, folder: Path) -> None:
    try:
        with connect(reader) as connection:
            connection.sendall(f"GET /transcribe?url={site}/slow.mp3 HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            assert wait_until(lambda: "/slow.mp3" in Site.requests and files_under(folder / "uploads"))
        assert wait_until(lambda: not files_under(folder / "uploads"))
    finally:
        Site.released.set()
