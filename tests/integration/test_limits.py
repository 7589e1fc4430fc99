"""Limits of one client at a real service, and at two that count together in a real Redis."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest
from websockets.exceptions import InvalidStatus
from websockets.frames import CloseCode

from tests.resilience.crowd import store_jobs
from tests.support.answers import assert_error
from tests.support.clips import SpokenClip
from tests.support.leftovers import files_under
from tests.support.live_doors import DOORS, Closed, Live, opened
from tests.support.pcm import as_pcm
from tests.support.recordings import Recordings
from tests.support.service import LocalService, free_port, local_service
from tests.support.site import Site, web_server
from tests.support.waiting import wait_until
from transcription.core.audio import SAMPLE_RATE
from transcription.core.settings import Settings

UPLOADS, READS, AT_ONCE, STREAMS, LIVE, MINUTES = 6, 40, 2, 2, 2, 1
ANSWER_SECONDS = 10.0  # without a Redis; far below the time limit of a request, which it would take to wait for it


def settings(**more: str) -> dict[str, str]:
    return {
        "ENABLE_RATE_LIMIT": "true",
        "RATE_LIMIT_PER_MINUTE": str(UPLOADS),
        "RATE_LIMIT_READS_PER_MINUTE": str(READS),
        "MAX_CLIENT_UPLOADS": str(AT_ONCE),
        "MAX_CLIENT_STREAMS": str(STREAMS),
        "MAX_CLIENT_LIVE_SESSIONS": str(LIVE),
        "MAX_CLIENT_LIVE_MINUTES": str(MINUTES),
        "TRUSTED_PROXIES": "127.0.0.0/8",
        **more,
    }


@pytest.fixture(scope="module")
def limited(limited_port: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalService]:
    folder = tmp_path_factory.mktemp("limited")
    with local_service(settings(WYOMING_PORT=str(limited_port)), folder / "log") as service:
        yield service


@pytest.fixture(scope="module")
def limited_port() -> int:
    """The port for Wyoming of the limited service."""
    return free_port()


@pytest.fixture(scope="module")
def direct(tmp_path_factory: pytest.TempPathFactory, spoken_clip: SpokenClip) -> Iterator[LocalService]:
    """A service that trusts no proxy, and reads from localhost more than a client may send."""
    folder = tmp_path_factory.mktemp("direct")
    Site.talk = spoken_clip.path.read_bytes()
    environment = settings(
        TRUSTED_PROXIES="",
        FORWARDED_ALLOW_IPS="*",  # uvicorn's own
        URL_ALLOW="localhost",
        MAX_CLIENT_BYTES=str(len(Site.talk) - 1),
    )
    with local_service(environment, folder / "log", wait_until_ready=False) as service:
        yield service


def caller(service: LocalService, address: str) -> httpx.Client:
    """A client behind a proxy of ours."""
    return httpx.Client(base_url=service.url, timeout=60, headers={"X-Forwarded-For": address}, verify=False)


def test_uploads_beyond_the_limit_are_refused_until_the_window_has_moved_on(
    limited: LocalService, spoken_clip: SpokenClip
) -> None:
    file = {"file": (spoken_clip.path.name, spoken_clip.path.read_bytes())}
    with caller(limited, "198.51.100.1") as client:
        # Uploads without a file count as well, and are quick: all of this must fit into a part of a minute.
        answers = [client.post("/transcribe", files=file), *(client.post("/transcribe") for _ in range(UPLOADS))]
        assert [answer.status_code for answer in answers] == [200] + [422] * (UPLOADS - 1) + [429]
        assert [answer.headers["ratelimit-remaining"] for answer in answers][:2] == [str(UPLOADS - 1), str(UPLOADS - 2)]
        assert {answer.headers["ratelimit-limit"] for answer in answers} == {str(UPLOADS)}
        refused = answers[-1]
        assert_error(refused, 429, "rate_limit_exceeded")
        assert refused.headers["retry-after"] == refused.headers["ratelimit-reset"]
        # Every route to the same work shares one limit; reads have their own.
        for path in ("/api/transcribe", "/api/transcribe_job/submit", "/jobs/7/retry", "/asr", "/detect-language"):
            assert client.post(path).status_code == 429
        assert client.get("/transcribe", params={"url": "https://example.com/a.mp3"}).status_code == 429
        openais = client.post("/v1/audio/transcriptions")
        assert (openais.status_code, openais.json()["error"]["type"]) == (429, "rate_limit_error")
        assert "x-should-retry" not in openais.headers  # its client waits for as long as Retry-After says
        assert client.get("/languages").status_code == 200
    with caller(limited, "198.51.100.2") as other:
        assert other.post("/transcribe", files=file).status_code == 200


def test_a_refused_upload_is_not_read(limited: LocalService) -> None:
    with caller(limited, "198.51.100.3") as client:
        for _ in range(UPLOADS):
            client.post("/transcribe")
        answer = client.post("/transcribe", content=b"no form")
    assert_error(answer, 429, "rate_limit_exceeded")


def test_reads_have_a_limit_and_probes_have_none(limited: LocalService) -> None:
    with caller(limited, "198.51.100.4") as client:
        statuses = [client.get("/languages").status_code for _ in range(READS + 2)]
        assert statuses == [200] * READS + [429] * 2
        for path in ("/health", "/health/ready", "/health/live", "/metrics", "/livez"):
            answer = client.get(path)
            assert answer.status_code == 200
            assert "ratelimit-limit" not in answer.headers


def test_a_client_has_a_limit_of_concurrent_uploads(limited: LocalService, recordings: Recordings) -> None:
    content = recordings.speech("at-once.mp3", 60).read_bytes()

    def send(number: int) -> httpx.Response:
        with caller(limited, "198.51.100.5") as client:
            fields = {"language": "en", "beam_size": "10", "initial_prompt": f"number {number}"}
            return client.post("/transcribe", files={"file": ("a.mp3", content)}, data=fields)

    with ThreadPoolExecutor(4) as clients:
        answers = list(clients.map(send, range(4)))
    refused = [answer for answer in answers if answer.status_code == 429]
    assert 1 <= len(refused) <= 2
    for answer in refused:
        assert_error(answer, 429, "too_many_uploads")
        assert int(answer.headers["retry-after"]) >= 1
    assert send(0).status_code == 200


def test_a_client_has_a_limit_of_event_streams(limited: LocalService) -> None:
    jobs = asyncio.run(store_jobs(Settings(jobs_dir=limited.log.parent / "jobs"), waiting=1))
    path = f"/jobs/{jobs.waiting[0]}/events"
    with caller(limited, "198.51.100.6") as client, caller(limited, "198.51.100.7") as other, ExitStack() as stack:
        for _ in range(STREAMS):
            assert stack.enter_context(client.stream("GET", path)).status_code == 200
        refused = client.get(path)
        assert_error(refused, 429, "too_many_streams")
        assert int(refused.headers["retry-after"]) >= 1
        assert stack.enter_context(other.stream("GET", path)).status_code == 200
        stack.close()
        assert wait_until(lambda: _is_let_in(client, path))


@pytest.mark.parametrize("door", DOORS)
def test_a_client_has_a_limit_of_minutes_of_live_audio(
    limited: LocalService, limited_port: int, door: str, spoken_clip: SpokenClip
) -> None:
    headers = {"X-Forwarded-For": f"198.51.100.{10 + DOORS.index(door)}"}
    speech = as_pcm(spoken_clip.path, SAMPLE_RATE)
    silence = bytes((MINUTES * 60 * SAMPLE_RATE - len(speech) // 3) * 2)  # the limit is in the middle of the speech
    with opened(door, limited, limited_port, headers) as session:
        session.say(silence + speech)
        assert "of live audio within an hour" in session.error()
        assert session.finals  # what was said before
        if door == "wyoming":
            session.send(session.message("audio-start", rate=SAMPLE_RATE, width=2, channels=1))
            assert "of live audio within an hour" in session.error()
        elif door != "live":  # that of /live may still be asked for the transcript
            with pytest.raises(Closed):
                while True:
                    session.read()
    if door in ("realtime", "listen"):
        with pytest.raises(InvalidStatus) as refused, opened(door, limited, limited_port, headers):
            pass
        response = refused.value.response
        assert response.status_code == 429
        assert 1 <= int(response.headers["retry-after"]) <= 3600
    elif door == "live":
        with opened(door, limited, limited_port, headers) as session:
            assert "of live audio within an hour" in session.error()
            with pytest.raises(Closed, match="1013"):
                session.read()


def test_at_the_limit_of_live_sessions_a_page_can_be_loaded_again(limited: LocalService, limited_port: int) -> None:
    for _ in range(LIVE + 1):
        with opened("live", limited, limited_port, {"X-Forwarded-For": "203.0.113.78"}) as session:
            assert isinstance(session, Live)
            assert session.event()["type"] == "session"
            session.connection.close(CloseCode.GOING_AWAY)


def _is_let_in(client: httpx.Client, path: str) -> bool:
    with client.stream("GET", path) as stream:
        return stream.status_code == httpx.codes.OK


def test_an_untrusted_proxy_cannot_claim_another_address(direct: LocalService) -> None:
    statuses = []
    for number in range(READS + 2):
        with caller(direct, f"198.51.100.{number}") as client:
            statuses.append(client.get("/languages").status_code)
    assert statuses == [200] * READS + [429] * 2


def test_what_is_fetched_counts_as_the_callers_bytes(direct: LocalService) -> None:
    with web_server() as site:
        url = {"url": f"{site}/talk.mp3"}
        answers = [
            httpx.get(f"{direct.url}/transcribe", params=url, timeout=30),
            httpx.post(f"{direct.url}/transcribe", data=url, timeout=30),
        ]
    for answer in answers:
        assert_error(answer, 429, "too_many_uploads")
    assert files_under(direct.log.parent / "uploads") == []


def test_services_with_one_redis_count_together_and_go_on_without_it(tmp_path: Path) -> None:
    server = shutil.which("redis-server")
    if not server:
        pytest.skip("needs redis-server: make tools installs it where there are Debian's packages")
    port = free_port()
    redis = subprocess.Popen(
        [server, "--port", str(port), "--save", "", "--dir", str(tmp_path)], stdout=subprocess.DEVNULL
    )
    try:
        with ExitStack() as stack:
            folders = [tmp_path / "one", tmp_path / "two"]
            urls = []
            for folder in folders:
                folder.mkdir()
                environment = settings(REDIS_URL=f"redis://127.0.0.1:{port}/0")
                urls.append(stack.enter_context(local_service(environment, folder / "log")).url)
            one, two = (stack.enter_context(httpx.Client(base_url=url, timeout=30)) for url in urls)
            statuses = [client.post("/transcribe").status_code for client in (one, two) * (UPLOADS // 2 + 1)]
            assert statuses[:UPLOADS] == [422] * UPLOADS  # let in, and then no form
            assert statuses[UPLOADS:] == [429, 429]

            redis.terminate()
            redis.wait(10)
            started = time.monotonic()
            answer = one.post("/transcribe")
            assert answer.status_code == 422
            assert time.monotonic() - started < ANSWER_SECONDS
            assert "ratelimit-limit" not in answer.headers
            assert '"rate_limits_suspended"' in (folders[0] / "log").read_text()
    finally:
        redis.kill()
        redis.wait()
