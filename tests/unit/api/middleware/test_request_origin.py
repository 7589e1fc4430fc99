"""Which requests are refused because a page of another site may have made a browser send them."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from starlette.responses import PlainTextResponse
from starlette.types import Message, Receive, Scope, Send

from transcription.api.app import route_table
from transcription.api.middleware.request_origin import RequestOriginMiddleware
from transcription.core.settings import Settings

ROUTES = route_table()
EVIL = "http://evil.example"
HOST = ("host", "nas:3000")
PROXY, STRANGER = "10.0.0.1", "203.0.113.5"
BEHIND_PROXY = {"trusted_proxies": PROXY, "allowed_hosts": "speech.example.com"}


async def served(scope: Scope, receive: Receive, send: Send) -> None:
    await PlainTextResponse("served")(scope, receive, send)


def call(
    method: str, path: str, *headers: tuple[str, str], peer: str = STRANGER, type: str = "http", **settings: Any
) -> list[Message]:
    """Everything that is sent to a client with these headers."""
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request"}

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {
        "type": type,
        "method": method,
        "path": path,
        "client": (peer, 1234),
        "headers": [(name.encode(), value.encode("latin-1")) for name, value in headers],
    }
    app = RequestOriginMiddleware(served, Settings(_env_file=None, **settings), ROUTES)
    asyncio.run(app(scope, receive, send))
    return sent


def outcome(method: str, path: str, *headers: tuple[str, str], **options: Any) -> str:
    """`served`, or the code of the refusal."""
    start, body = call(method, path, *headers, **options)
    if start["status"] == 200:
        return "served"
    assert start["status"] == 403
    return str(body["body"].split(b'"')[3].decode())


@pytest.mark.parametrize(
    "path", ["/jobs", "/", "/docs.json", "/schema.json", "/livez", "/metrics", "/ui", "/v1/models"]
)
def test_no_route_answers_for_the_host_of_a_stranger(path: str) -> None:
    assert outcome("GET", path, ("host", "evil.example")) == "host_not_allowed"
    assert outcome("GET", path, HOST) == "served"


def test_the_refusal_of_a_host_names_the_host_and_the_setting() -> None:
    _, body = call("GET", "/jobs", ("host", "speech.example.com"))
    assert b"'speech.example.com'" in body["body"]
    assert b"ALLOWED_HOSTS" in body["body"]


def test_a_host_of_the_setting_is_answered() -> None:
    assert outcome("GET", "/jobs", ("host", "speech.example.com"), allowed_hosts="speech.example.com") == "served"
    assert outcome("GET", "/jobs", ("host", "evil.example"), allowed_hosts="*") == "served"


def test_all_of_several_hosts_must_be_allowed() -> None:
    assert outcome("GET", "/jobs", HOST, ("host", "evil.example")) == "host_not_allowed"


@pytest.mark.parametrize("headers", [(), (("host", ""),)])
def test_a_request_without_a_host_reaches_the_probes_only(headers: tuple[tuple[str, str], ...]) -> None:
    assert outcome("GET", "/health/live", *headers) == "served"
    assert outcome("GET", "/jobs", *headers) == "host_not_allowed"


def test_the_forwarded_host_counts_if_a_trusted_proxy_sends_it() -> None:
    forwarded = ("x-forwarded-host", "evil.example")
    assert outcome("GET", "/jobs", HOST, forwarded, peer=PROXY, trusted_proxies=PROXY) == "host_not_allowed"
    assert outcome("GET", "/jobs", HOST, forwarded, peer=STRANGER, trusted_proxies=PROXY) == "served"
    chain = ("x-forwarded-host", "speech.example.com, inner:8080")
    assert outcome("GET", "/jobs", HOST, chain, peer=PROXY, **BEHIND_PROXY) == "served"


def test_a_forwarded_host_does_not_excuse_the_host() -> None:
    headers = (("host", "evil.example"), ("x-forwarded-host", "localhost"))
    assert outcome("GET", "/jobs", *headers, peer=PROXY, trusted_proxies=PROXY) == "host_not_allowed"


@pytest.mark.parametrize(
    ("method", "path"),
    [
        *(("POST", "/transcribe"), ("POST", "/api/transcribe"), ("POST", "/api/transcribe_job/submit")),
        *(("POST", "/asr"), ("POST", "/v1/audio/transcriptions"), ("POST", "/jobs/some-job/retry")),
        *(("DELETE", "/jobs/some-job"), ("PUT", "/api/transcribe_job/cancel"), ("PATCH", "/nowhere")),
    ],
)
def test_a_page_of_another_site_cannot_change_anything(method: str, path: str) -> None:
    assert outcome(method, path, HOST, ("origin", EVIL)) == "cross_site_request"
    assert outcome(method, path, HOST, ("sec-fetch-site", "cross-site")) == "cross_site_request"
    assert outcome(method, path, HOST) == "served"  # not a browser


def test_a_link_to_a_route_that_makes_work_is_refused() -> None:
    assert outcome("GET", "/transcribe", HOST, ("sec-fetch-site", "cross-site")) == "cross_site_request"


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
def test_a_page_of_another_site_may_send_what_changes_nothing(method: str) -> None:
    headers = (("origin", EVIL), ("sec-fetch-site", "cross-site"))
    assert outcome(method, "/jobs", HOST, *headers) == "served"  # without CORS_ORIGINS it cannot read the answer


def test_the_refusal_of_a_page_names_the_page_and_the_setting() -> None:
    _, body = call("POST", "/transcribe", HOST, ("origin", EVIL))
    assert EVIL.encode() in body["body"]
    assert b"CORS_ORIGINS" in body["body"]


@pytest.mark.parametrize(
    ("origin", "host"),
    [
        ("http://nas:3000", "nas:3000"),
        ("http://NAS:3000", "nas.:3000"),
        ("http://localhost", "localhost"),
        ("http://localhost", "localhost:80"),
        ("https://nas.local", "nas.local"),  # behind a proxy with TLS
        ("https://nas.local", "nas.local:443"),
        ("http://[::1]:3000", "[::1]:3000"),
    ],
)
def test_the_own_page_may_change_things(origin: str, host: str) -> None:
    assert outcome("POST", "/transcribe", ("host", host), ("origin", origin)) == "served"


@pytest.mark.parametrize(
    "origin",
    [
        *("null", "", "http://nas", "http://nas:3001", "http://nas.evil.example:3000", "http://user@nas:3000"),
        *("nas:3000", "chrome-extension://nas:3000", "http://nas:port", "http://[::1", "file://"),
    ],
)
def test_any_other_origin_is_foreign(origin: str) -> None:
    assert outcome("POST", "/transcribe", HOST, ("origin", origin)) == "cross_site_request"


def test_one_foreign_origin_among_several_is_foreign() -> None:
    origins = (("origin", "http://nas:3000"), ("origin", EVIL))
    assert outcome("POST", "/transcribe", HOST, *origins) == "cross_site_request"


def test_the_forwarded_host_is_an_own_origin_behind_a_trusted_proxy() -> None:
    headers = (HOST, ("x-forwarded-host", "speech.example.com"), ("origin", "https://speech.example.com"))
    assert outcome("POST", "/transcribe", *headers, peer=PROXY, **BEHIND_PROXY) == "served"
    assert outcome("POST", "/transcribe", *headers, peer=STRANGER, **BEHIND_PROXY) == "cross_site_request"


@pytest.mark.parametrize("site", ["same-origin", "none", "Same-Origin"])
def test_a_browser_that_vouches_for_the_page_is_believed_behind_a_proxy_that_changes_the_host(site: str) -> None:
    headers = (("origin", "https://speech.example.com"), ("sec-fetch-site", site))
    assert outcome("POST", "/transcribe", HOST, *headers) == "served"


@pytest.mark.parametrize("site", ["same-site", "cross-site", "nonsense"])
def test_otherwise_the_origin_decides(site: str) -> None:
    sibling = (("origin", "http://nas:8080"), ("sec-fetch-site", site))
    assert outcome("POST", "/transcribe", HOST, *sibling) == "cross_site_request"


def test_an_origin_of_cors_origins_may_change_things() -> None:
    page = (HOST, ("origin", "https://app.example"), ("sec-fetch-site", "cross-site"))
    assert outcome("POST", "/transcribe", *page, cors_origins="https://APP.example/, http://other") == "served"
    assert outcome("POST", "/transcribe", *page, cors_origins="http://app.example") == "cross_site_request"


@pytest.mark.parametrize("headers", [(("origin", "null"),), (("sec-fetch-site", "cross-site"),)])
def test_every_page_may_change_things_if_cors_origins_allows_all(headers: tuple[tuple[str, str], ...]) -> None:
    assert outcome("POST", "/transcribe", HOST, *headers, cors_origins="*") == "served"


@pytest.mark.parametrize("header", [("host", "evil.example"), ("origin", EVIL)])
def test_a_websocket_of_another_site_is_refused(header: tuple[str, str]) -> None:
    others = () if header[0] == "host" else (HOST,)
    refusal, _ = call("GET", "/live", *others, header, type="websocket")
    assert (refusal["type"], refusal["status"]) == ("websocket.http.response.start", 403)
