"""Who may call: every route of a real service with API keys, without one, with a wrong one and with a right one."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import httpx
import httpx_ws
import openai
import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect as websocket_connect
from websockets.typing import Subprotocol

from tests.support.answers import assert_error
from tests.support.api_keys import entry
from tests.support.clips import SpokenClip
from tests.support.connections import connect
from tests.support.leftovers import files_under
from tests.support.live import live_client
from tests.support.routes import served_routes
from tests.support.service import DidNotStart, LocalService, local_service
from tests.support.waiting import wait_until
from transcription.api.app import route_table
from transcription.api.middleware.api_keys import digest_of, make_key
from transcription.api.openai.errors import is_openai

KEY, SINGLE, LATER = make_key(), make_key(), make_key()
ORIGIN = "https://app.example"
UPLOAD_TIMEOUT = 2  # seconds
HEAD_TIMEOUT = 10  # seconds, transcription/bentoml_patches/bounded_connections.py
MULTIPART = "Content-Type: multipart/form-data; boundary=b\r\nContent-Length: 1000000\r\n"
FILE_BEGINS = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\n\r\nRIFF'
PROBE_PATHS, PAGE_PATHS = route_table().probe_paths, route_table().public_paths
PAGES, UPLOAD_ROUTES = ("/bentoml", "/docs"), ("/transcribe", "/api/transcribe", "/api/transcribe_job/submit")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("access")


@pytest.fixture(scope="module")
def environment(folder: Path) -> dict[str, str]:
    return {
        "ENABLE_API_KEY": "true",
        "API_KEY": SINGLE,
        "API_KEYS_FILE": str(folder / "keys.toml"),
        "CORS_ORIGINS": ORIGIN,
        "UPLOAD_TIMEOUT": str(UPLOAD_TIMEOUT),
        "MIN_UPLOAD_RATE": "1000",
    }


@pytest.fixture(scope="module")
def guarded(environment: dict[str, str], folder: Path) -> Iterator[LocalService]:
    """A service that wants keys."""
    (folder / "keys.toml").write_text(entry("mobile", KEY))
    with local_service(environment, folder / "service.log") as running:
        yield running


@pytest.fixture(scope="module")
def anyone(guarded: LocalService) -> Iterator[httpx.Client]:
    """A client without a key."""
    with httpx.Client(base_url=guarded.url, timeout=30) as http:
        yield http


@pytest.fixture(scope="module")
def routes(environment: dict[str, str], folder: Path) -> list[tuple[str, str]]:
    """(method, path) of every route, the parameters filled in."""
    (folder / "keys.toml").write_text(entry("mobile", KEY))
    return [(method, path.replace("{job_id}", "some-job")) for method, path in served_routes(folder, environment)]


def exchange(service: LocalService, request: bytes) -> bytes:
    """Everything that comes back until the connection is closed."""
    with connect(service) as connection:
        connection.sendall(request)
        return until_closed(connection)


def until_closed(connection: socket.socket) -> bytes:
    answer = b""
    while block := connection.recv(65536):
        answer += block
    return answer


def test_every_route_but_the_probes_needs_a_key(anyone: httpx.Client, routes: list[tuple[str, str]]) -> None:
    guarded_routes = [(method, path) for method, path in routes if path not in PROBE_PATHS | PAGE_PATHS]
    answers = {route: anyone.request(*route) for route in guarded_routes}
    assert {route: answer.status_code for route, answer in answers.items() if answer.status_code != 401} == {}
    for (method, path), answer in answers.items():
        assert answer.headers["www-authenticate"] == "Bearer"
        if is_openai(path):
            assert answer.json()["error"]["code"] == "missing_api_key"
        elif method != "HEAD":
            assert_error(answer, 401, "missing_api_key")


def test_the_page_for_people_needs_no_key_and_what_it_asks_for_does(anyone: httpx.Client) -> None:
    for path in PAGE_PATHS - {"/"}:
        assert anyone.get(path).status_code == 200
    assert anyone.get("/").headers["location"] == "/ui"
    for path in ("/ui/nothing.js", "/ui/%2e%2e/service.py", "/ui/", "/languages", "/bentoml"):
        assert anyone.get(path).status_code == 401


def test_the_list_of_routes_is_whole(anyone: httpx.Client, routes: list[tuple[str, str]]) -> None:
    paths = {path for _, path in routes}
    assert {"/", "/docs", "/docs.json", "/openapi.json", "/schema.json", "/static_content/"} <= paths
    assert {*UPLOAD_ROUTES, "/api/transcribe_job/cancel", "/jobs/some-job/events"} <= paths
    assert paths >= PROBE_PATHS
    for document in ("/openapi.json", "/docs.json"):
        described = anyone.get(document, headers={"X-API-Key": KEY}).json()["paths"]
        assert {path.replace("{job_id}", "some-job") for path in described} <= paths, document


@pytest.mark.parametrize("path", sorted(PROBE_PATHS))
def test_a_probe_needs_no_key(anyone: httpx.Client, path: str) -> None:
    assert anyone.get(path).status_code == 200


@pytest.mark.parametrize(
    "target",
    [
        "//health",
        "/health/",
        "/health/..",
        "/health/../models",
        "/health%2f..%2fmodels",
        "/%2fhealth",
        "/health%00",
        "/health;/models",
        "/Health",
        "/models?/health",
        *("http://x/models", "http://x//health", "http://x/health/../models", "ftp://x/health"),
        "/static_content/../health",
        "/static_content/swagger-ui.css",
        "/nowhere",
    ],
)
def test_what_only_looks_like_a_probe_needs_a_key(guarded: LocalService, target: str) -> None:
    answer = exchange(guarded, f"GET {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
    assert answer.startswith(b"HTTP/1.1 401 ")


@pytest.mark.parametrize(
    "key", ["wrong", make_key(), digest_of(KEY), "é"], ids=["short", "another", "its digest", "not ASCII"]
)
def test_a_wrong_key_is_refused(anyone: httpx.Client, key: str) -> None:
    assert_error(anyone.get("/models", headers={b"X-API-Key": key.encode()}), 403, "invalid_api_key")
    assert anyone.get("/v1/models", headers={b"Authorization": b"Bearer " + key.encode()}).status_code == 401


@pytest.mark.parametrize("key", [KEY, SINGLE], ids=["listed", "single"])
@pytest.mark.parametrize(("header", "scheme"), [("X-API-Key", ""), ("api-key", ""), ("Authorization", "Bearer ")])
def test_a_right_key_opens_in_every_header(anyone: httpx.Client, key: str, header: str, scheme: str) -> None:
    for path in ("/models", "/docs", "/bentoml", "/schema.json", "/openapi.json"):
        assert anyone.get(path, headers={header: scheme + key}).status_code == 200


@pytest.mark.parametrize("route", ["/transcribe", "/api/transcribe"])
def test_a_recording_is_transcribed_for_a_key(anyone: httpx.Client, spoken_clip: SpokenClip, route: str) -> None:
    file = {"file": (spoken_clip.path.name, spoken_clip.path.read_bytes())}
    answer = anyone.post(route, files=file, headers={"X-API-Key": KEY})
    assert answer.json()["text"] == spoken_clip.text


def test_an_upload_without_a_key_is_refused_before_its_body(guarded: LocalService) -> None:
    head = f"POST /transcribe HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n{MULTIPART}\r\n"
    with connect(guarded) as connection:
        connection.sendall(head.encode())
        assert connection.recv(65536).startswith(b"HTTP/1.1 401 ")


def test_a_new_key_counts_without_a_restart(anyone: httpx.Client, folder: Path) -> None:
    headers = {"X-API-Key": LATER}
    assert anyone.get("/models", headers=headers).status_code == 403
    (folder / "keys.toml").write_text(entry("mobile", KEY) + entry("later", LATER))
    assert wait_until(lambda: anyone.get("/models", headers=headers).status_code == 200)


def test_a_browser_may_ask_first_without_a_key(anyone: httpx.Client) -> None:
    asks = {
        "Origin": ORIGIN,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "x-api-key",
    }
    answer = anyone.options("/transcribe", headers=asks)
    assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (200, ORIGIN)
    assert "x-api-key" in answer.headers["access-control-allow-headers"]
    assert_error(anyone.options("/transcribe", headers={**asks, "Origin": "https://evil.example"}), 400, "bad_request")


def test_a_page_of_a_listed_origin_can_read_the_refusal(anyone: httpx.Client) -> None:
    answer = anyone.get("/models", headers={"Origin": ORIGIN})
    assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (401, ORIGIN)
    other = anyone.get("/models", headers={"Origin": "https://evil.example", "X-API-Key": KEY})
    assert "access-control-allow-origin" not in other.headers


def test_every_answer_says_that_its_type_is_meant(anyone: httpx.Client) -> None:
    for path in ("/health", "/models", "/nowhere", "/docs"):
        for headers in ({}, {"X-API-Key": KEY}):
            assert anyone.get(path, headers=headers).headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("path", PAGES)
def test_a_page_runs_only_its_own_scripts_and_in_no_frame(anyone: httpx.Client, path: str) -> None:
    headers = anyone.get(path, headers={"X-API-Key": KEY}).headers
    assert "default-src 'self'" in headers["content-security-policy"]
    assert "googletagmanager" not in headers["content-security-policy"]
    assert (headers["x-frame-options"], headers["referrer-policy"]) == ("DENY", "no-referrer")


def test_the_api_document_says_how_a_key_is_sent(anyone: httpx.Client) -> None:
    document = anyone.get("/openapi.json", headers={"X-API-Key": KEY}).json()
    assert set(document["components"]["securitySchemes"]) == {"ApiKey", "Bearer"}
    assert document["security"] == [{"ApiKey": []}, {"Bearer": []}]
    assert document["paths"]["/health"]["get"]["security"] == []


@pytest.mark.parametrize("route", UPLOAD_ROUTES)
@pytest.mark.parametrize("pause", [60.0, 0.5], ids=["stalls", "trickles"])
def test_a_slow_upload_ends_with_408_and_leaves_nothing(
    guarded: LocalService, folder: Path, route: str, pause: float
) -> None:
    with connect(guarded) as connection:
        head = f"POST {route} HTTP/1.1\r\nHost: x\r\nX-API-Key: {KEY}\r\n{MULTIPART}\r\n"
        connection.sendall(head.encode() + FILE_BEGINS)
        connection.settimeout(pause)
        answer = trickle(connection, 3 * UPLOAD_TIMEOUT if pause < UPLOAD_TIMEOUT else 0)
    head_of_answer, _, body = answer.partition(b"\r\n\r\n")
    assert head_of_answer.startswith(b"HTTP/1.1 408 ")
    assert b"connection: close" in head_of_answer.lower()
    assert json.loads(body)["error"] == "upload_too_slow"
    assert wait_until(lambda: not files_under(folder / "uploads"))


def trickle(connection: socket.socket, seconds: float) -> bytes:
    """Send a byte whenever nothing came back in time, for so long; then everything until the connection is closed."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            return connection.recv(65536) + until_closed(connection)
        except TimeoutError:
            connection.sendall(b"x")
    return until_closed(connection)


HEADS = {
    "nothing": "",
    "half a head": "GET /health HTTP/1.1\r\n",
    "a body that was refused": f"POST /transcribe HTTP/1.1\r\nHost: x\r\n{MULTIPART}\r\n",
}


@pytest.fixture(scope="module")
def seconds_until_closed(guarded: LocalService) -> dict[str, float]:
    """How long connections last on which a client sends only that and then a byte a second; all wait together."""

    def wait(head: str) -> float:
        with connect(guarded) as connection:
            connection.sendall(head.encode())
            connection.settimeout(1)
            started = time.monotonic()
            with suppress(ConnectionError):  # what we sent last came after it was closed
                trickle(connection, 3 * HEAD_TIMEOUT)
            return time.monotonic() - started

    with ThreadPoolExecutor(len(HEADS)) as clients:
        return dict(zip(HEADS, clients.map(wait, HEADS.values()), strict=True))


@pytest.mark.parametrize("head", HEADS)
def test_a_connection_on_which_nothing_is_served_is_closed(seconds_until_closed: dict[str, float], head: str) -> None:
    assert seconds_until_closed[head] < 2 * HEAD_TIMEOUT


def test_too_many_headers_are_refused(anyone: httpx.Client) -> None:
    headers = {f"X-{number}": "x" for number in range(101)}
    assert_error(anyone.get("/health", headers=headers), 431, "too_many_headers")


def test_a_huge_head_is_refused(guarded: LocalService) -> None:
    answer = exchange(guarded, b"GET /health HTTP/1.1\r\nHost: x\r\nX-Huge: " + b"x" * 70_000)
    assert answer.startswith(b"HTTP/1.1 400 ")


def test_no_key_is_ever_logged(guarded: LocalService, anyone: httpx.Client) -> None:
    anyone.get("/models", headers={"X-API-Key": KEY})
    guarded.logged('"endpoint": "/models"')
    log = guarded.log.read_text()
    assert not any(key in log for key in (KEY, SINGLE, LATER))


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"API_KEY": "", "API_KEYS_FILE": ""}, "Set API_KEY or API_KEYS_FILE"),
        ({"API_KEY": "hunter2"}, "at least 32 characters"),
        ({"API_KEYS_FILE": "/nowhere/keys.toml"}, "/nowhere/keys.toml cannot be read"),
    ],
)
def test_keys_that_cannot_work_stop_the_start(
    environment: dict[str, str], tmp_path: Path, changed: dict[str, str], message: str
) -> None:
    with pytest.raises(DidNotStart, match=message), local_service({**environment, **changed}, tmp_path / "service.log"):
        pass


def test_a_websocket_needs_a_key(anyone: httpx.Client) -> None:
    with pytest.raises(httpx_ws.WebSocketUpgradeError) as refused, live_client(anyone):
        pass
    assert refused.value.response.status_code == 401
    with live_client(anyone, subprotocols=["transcription.live", f"api-key.{KEY}"]) as live:
        assert live.start()["type"] == "session"
    with live_client(anyone, {"X-API-Key": KEY}) as live:
        assert live.start()["type"] == "session"


def test_a_session_is_opened_with_a_key_or_a_secret(guarded: LocalService, anyone: httpx.Client, folder: Path) -> None:
    def created(key: str) -> str:
        with (
            openai.OpenAI(base_url=f"{guarded.url}/v1", api_key=key, max_retries=0) as client,
            client.realtime.connect(extra_query={"intent": "transcription"}, max_retries=0) as connection,
        ):
            return connection.recv().type

    assert created(KEY) == "session.created"
    with pytest.raises(InvalidStatus) as refused:
        created("k" * 43)
    assert refused.value.response.status_code == 401
    with openai.OpenAI(base_url=f"{guarded.url}/v1", api_key=KEY) as client:
        secret = client.realtime.client_secrets.create().value
    assert created(secret) == "session.created"
    assert anyone.get("/v1/models", headers={"Authorization": f"Bearer {secret}"}).status_code == 401  # it is no key
    protocols = [Subprotocol("realtime"), Subprotocol(f"openai-insecure-api-key.{secret}")]
    with websocket_connect(f"{guarded.url.replace('http', 'ws')}/v1/realtime", subprotocols=protocols) as websocket:
        assert json.loads(websocket.recv())["type"] == "session.created"
    assert secret not in (folder / "service.log").read_text()
