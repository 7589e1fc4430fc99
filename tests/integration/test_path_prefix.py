"""A service that a reverse proxy publishes under a path prefix."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urljoin, urlsplit

import bentoml
import httpx
import pytest

from tests.support.clips import SpokenClip
from tests.support.jobs import PATIENCE, finished, post, read_events
from tests.support.reverse_proxy import reverse_proxy
from tests.support.service import CLIENT_TIMEOUT, LocalService, serve
from tests.support.waiting import wait_until

CONFIGURED = "/speech/v2"
LINKS = re.compile(r"""(?:href|src|spec-url)="([^"]+)"|url: '([^']+)'""")


@dataclass(frozen=True, slots=True)
class Proxied:
    """url: of the proxy. prefix: of the paths behind which the service is."""

    url: str
    prefix: str
    client: httpx.Client

    def at(self, path: str) -> str:
        return self.prefix + path


@pytest.fixture(scope="module")
def prefixed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalService]:
    """A service that knows a prefix and trusts the proxies of this machine."""
    with serve(tmp_path_factory.mktemp("prefixed"), ROOT_PATH=CONFIGURED, TRUSTED_PROXIES="127.0.0.1") as service:
        yield service


PROXIES = {
    "configured, removed": (CONFIGURED, {}),
    "configured, kept": (CONFIGURED, {"keeps": True}),
    "announced, removed": ("/other", {"announced": "/other/"}),
    "announced, kept": ("/other", {"keeps": True, "announced": "/other"}),
}


@pytest.fixture(scope="module", params=PROXIES)
def proxied(request: pytest.FixtureRequest, prefixed: LocalService) -> Iterator[Proxied]:
    prefix, options = PROXIES[request.param]
    with reverse_proxy(prefixed.url, prefix, **options) as url, httpx.Client(base_url=url, timeout=60) as client:
        yield Proxied(url, prefix, client)


@pytest.fixture(scope="module")
def submission(proxied: Proxied, spoken_clip: SpokenClip) -> httpx.Response:
    """The answer to a job that was submitted through the proxy."""
    file = {"file": (spoken_clip.path.name, spoken_clip.path.read_bytes())}
    answer = proxied.client.post(proxied.at("/transcribe"), files=file, data={"async": "true"})
    assert answer.status_code == 202
    assert wait_until(lambda: proxied.client.get(answer.headers["location"]).json()["status"] == "completed", PATIENCE)
    return answer


def test_the_address_of_a_new_job_has_the_prefix(proxied: Proxied, submission: httpx.Response) -> None:
    job = submission.json()["job_id"]
    assert submission.headers["location"] == submission.json()["status_url"] == proxied.at(f"/status/{job}")


def test_the_address_of_a_retried_or_deleted_job_has_the_prefix(proxied: Proxied, submission: httpx.Response) -> None:
    job = submission.json()["job_id"]
    retried = proxied.client.post(proxied.at(f"/jobs/{job}/retry"))
    assert retried.headers["location"] == retried.json()["status_url"] == proxied.at(f"/status/{job}")
    assert wait_until(lambda: proxied.client.get(retried.headers["location"]).json()["status"] == "completed", PATIENCE)


def test_the_last_event_of_a_job_leads_to_its_result(proxied: Proxied, submission: httpx.Response) -> None:
    job = submission.json()["job_id"]
    with httpx.Client(base_url=proxied.url + proxied.prefix, timeout=60) as client:
        end = read_events(client, job)[-1]
    assert end["data"]["result_url"] == proxied.at(f"/jobs/{job}/result")
    assert proxied.client.get(end["data"]["result_url"]).status_code == 200


@pytest.mark.parametrize("page", ["/ui", "/docs", "/bentoml"])
def test_everything_that_a_page_loads_is_behind_the_prefix(proxied: Proxied, page: str) -> None:
    answer = proxied.client.get(proxied.at(page))
    assert answer.status_code == 200
    links = [next(filter(None, groups)) for groups in LINKS.findall(answer.text)]
    ours = [urljoin(str(answer.url), link) for link in links if not urlsplit(link).netloc]
    assert ours
    assert {link: proxied.client.get(link).status_code for link in ours} == dict.fromkeys(ours, 200)


def test_the_api_document_says_where_its_paths_are(proxied: Proxied) -> None:
    document = proxied.client.get(proxied.at("/openapi.json")).json()
    assert document["servers"] == [{"url": proxied.prefix}]
    assert "/transcribe" in document["paths"]


@pytest.mark.parametrize(("path", "page"), [("/", "/ui"), ("/redoc", "/docs")])
def test_pages_that_lead_to_others_stay_behind_the_prefix(proxied: Proxied, path: str, page: str) -> None:
    answer = proxied.client.get(proxied.at(path))
    assert (answer.status_code, answer.headers["location"]) == (307, proxied.at(page))


@pytest.mark.parametrize(
    ("path", "status"),
    [("/ui/", 200), ("/models/?a=1", 200), ("/health/live/", 200), ("/api/transcribe_job/status/?task_id=7", 404)],
)
def test_a_redirect_stays_behind_the_prefix_and_on_the_host(proxied: Proxied, path: str, status: int) -> None:
    answer = proxied.client.get(proxied.at(path))
    assert answer.status_code == 307
    assert answer.headers["location"] == proxied.at(path.replace("/?", "?").rstrip("/"))
    assert proxied.client.get(answer.headers["location"]).status_code == status


def test_bentomls_client_finds_its_routes(proxied: Proxied, spoken_clip: SpokenClip) -> None:
    with bentoml.SyncHTTPClient(proxied.url + proxied.prefix, timeout=CLIENT_TIMEOUT) as client:
        assert client.transcribe(file=spoken_clip.path)["text"] == spoken_clip.text


def test_the_prefix_alone_leads_to_the_page(prefixed: LocalService) -> None:
    answer = httpx.get(prefixed.url + CONFIGURED)
    assert (answer.status_code, answer.headers["location"]) == (307, f"{CONFIGURED}/ui")


def test_probes_need_no_prefix(prefixed: LocalService) -> None:
    for path in ("/livez", "/health/ready", "/metrics"):
        assert httpx.get(prefixed.url + path).status_code == 200


def test_requests_are_counted_under_their_route(prefixed: LocalService) -> None:
    with reverse_proxy(prefixed.url, "/other", keeps=True, announced="/other") as url:
        assert httpx.get(f"{url}/other/languages").status_code == 200
    metrics = httpx.get(f"{prefixed.url}/metrics").text
    assert 'endpoint="/languages"' in metrics
    assert "/other" not in metrics


def test_without_a_setting_a_redirect_names_no_host(client: httpx.Client) -> None:
    assert client.get("/models/").headers["location"] == "/models"


def test_without_a_trusted_proxy_the_header_is_ignored(
    client: httpx.Client, spoken_clip: SpokenClip, tmp_path: Path
) -> None:
    path = tmp_path / "talk.mp3"
    path.write_bytes(spoken_clip.path.read_bytes())
    answer = post(client, path, {"X-Forwarded-Prefix": "/other"}, **{"async": "true"})
    job = answer.json()["job_id"]
    assert answer.headers["location"] == f"/status/{job}"
    assert finished(client, job)["status"] == "completed"
