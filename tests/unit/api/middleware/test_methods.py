"""HEAD, OPTIONS and Allow."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from starlette.responses import JSONResponse, PlainTextResponse, StreamingResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from transcription.api.middleware.methods import MethodsMiddleware
from transcription.api.route_facts import Route, RouteTable

DECLARED = ("GET /jobs", "GET /jobs/{id}", "DELETE /jobs/{id}", "POST /transcribe", "GET /own", "HEAD /own")
ROUTES = RouteTable(Route(*each.split()) for each in DECLARED)


async def methods_seen(scope: Scope, receive: Receive, send: Send) -> None:
    await PlainTextResponse(scope["method"])(scope, receive, send)


def call(app: ASGIApp, method: str, path: str) -> list[Message]:
    sent: list[Message] = []

    async def receive() -> Message:
        return await asyncio.Future()  # the client sends no body and stays

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {"type": "http", "method": method, "path": path, "headers": [], "asgi": {"spec_version": "2.3"}}
    asyncio.run(asyncio.wait_for(MethodsMiddleware(app, ROUTES)(scope, receive, send), 10))
    return sent


def headers(start: Message) -> dict[str, str]:
    return {name.decode(): value.decode() for name, value in start["headers"]}


@pytest.mark.parametrize("path", ["/jobs", "/jobs/7"])
def test_head_is_served_as_get(path: str) -> None:
    start, body = call(methods_seen, "HEAD", path)
    assert (start["status"], body["body"]) == (200, b"GET")  # the HTTP server drops the body


@pytest.mark.parametrize(("method", "path"), [("HEAD", "/own"), ("HEAD", "/transcribe"), ("HEAD", "/nowhere")])
def test_head_is_left_to_a_route_of_its_own_and_to_those_without_get(method: str, path: str) -> None:
    assert call(methods_seen, method, path)[1]["body"] == b"HEAD"


def test_head_of_a_stream_ends_it() -> None:
    cancelled = []

    async def endless(scope: Scope, receive: Receive, send: Send) -> None:
        async def events() -> AsyncIterator[bytes]:
            try:
                while True:
                    yield b"data: 1\n\n"
                    await asyncio.sleep(0)
            finally:
                cancelled.append(True)

        await StreamingResponse(events(), media_type="text/event-stream")(scope, receive, send)

    start, body = call(endless, "HEAD", "/jobs/7")
    assert headers(start)["content-type"].startswith("text/event-stream")
    assert body == {"type": "http.response.body", "body": b""}
    assert cancelled == [True]


def test_a_time_limit_of_the_application_is_not_swallowed() -> None:
    async def too_slow(scope: Scope, receive: Receive, send: Send) -> None:
        raise TimeoutError("the store")

    with pytest.raises(TimeoutError, match="the store"):
        call(too_slow, "HEAD", "/jobs")


@pytest.mark.parametrize(
    ("path", "allow"),
    [("/jobs", "GET, HEAD, OPTIONS"), ("/jobs/7", "DELETE, GET, HEAD, OPTIONS"), ("/transcribe", "OPTIONS, POST")],
)
def test_allow_lists_all_methods_of_a_path(path: str, allow: str) -> None:
    async def refuses(scope: Scope, receive: Receive, send: Send) -> None:
        await JSONResponse({}, 405, {"Allow": "GET"})(scope, receive, send)

    assert headers(call(refuses, "PATCH", path)[0])["allow"] == allow
    start, body = call(refuses, "OPTIONS", path)
    assert (start["status"], headers(start)["allow"], body["body"]) == (204, allow, b"")


def test_options_of_a_path_that_no_route_has_is_left_to_the_application() -> None:
    assert call(methods_seen, "OPTIONS", "/nowhere")[1]["body"] == b"OPTIONS"
