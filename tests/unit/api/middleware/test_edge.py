from __future__ import annotations

import asyncio
import json

import httpx
import pytest
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from transcription.api.middleware.edge import EdgeMiddleware, choose_request_id
from transcription.telemetry.logs import current_request_id

SHAPE = {"error", "message", "detail", "timestamp", "request_id"}


def get(app: ASGIApp, **headers: str) -> httpx.Response:
    async def call() -> httpx.Response:
        transport = httpx.ASGITransport(EdgeMiddleware(app))
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            return await client.get("/x", headers=headers)

    return asyncio.run(call())


async def crash(scope: Scope, receive: Receive, send: Send) -> None:
    raise RuntimeError("a secret")


async def crash_half_way(scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"half", "more_body": True})
    raise RuntimeError("a secret")


async def tell_request_id(scope: Scope, receive: Receive, send: Send) -> None:
    await PlainTextResponse(current_request_id())(scope, receive, send)


def test_a_good_answer_passes_with_a_request_id() -> None:
    answer = get(PlainTextResponse("fine"))
    assert answer.text == "fine"
    assert len(answer.headers["x-request-id"]) == 36


def test_the_request_id_is_known_inside() -> None:
    assert get(tell_request_id, **{"X-Request-ID": "mine"}).text == "mine"


@pytest.mark.parametrize(
    "response",
    [
        PlainTextResponse("Not Found", 404),
        JSONResponse({"error": "Authorization error"}, 401),
        JSONResponse([{"error": "a list"}], 400),
        JSONResponse({"detail": "gone"}, 410),
        PlainTextResponse("{broken", 500),
        Response(status_code=405, headers={"Allow": "POST"}),
    ],
)
def test_an_error_of_a_framework_is_rewritten(response: Response) -> None:
    answer = get(response)
    assert answer.status_code == response.status_code
    assert set(answer.json()) == SHAPE
    assert answer.json()["request_id"] == answer.headers["x-request-id"]
    assert answer.headers.get("allow") == response.headers.get("allow")


def test_an_error_in_our_shape_passes_unchanged() -> None:
    body = {**dict.fromkeys(SHAPE, "x"), "more": 1}
    assert get(JSONResponse(body, 422)).json() == body


def test_unavailability_always_says_when_to_retry() -> None:
    assert get(PlainTextResponse("not ready", 503)).headers["retry-after"]


def test_a_crash_is_answered_without_what_crashed() -> None:
    answer = get(crash)
    assert (answer.status_code, answer.json()["error"]) == (500, "internal_error")
    assert "secret" not in answer.text


def test_a_crash_after_the_beginning_breaks_the_answer_off() -> None:
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "GET", "path": "/x", "headers": []}
    asyncio.run(EdgeMiddleware(crash_half_way)(scope, None, send))  # type: ignore[arg-type]
    assert [message.get("more_body") for message in sent] == [None, True]


@pytest.mark.parametrize("unsafe", [None, "", "a b", "x" * 129, "ü", "a\n", '"'])
def test_an_unsafe_request_id_is_replaced(unsafe: str | None) -> None:
    assert choose_request_id(unsafe) != unsafe


@pytest.mark.parametrize("safe", ["a", "x" * 128, "2f1c7f3e-9f0e-4c39", "Root=1-abc:def/x_y.z+1"])
def test_a_safe_request_id_is_kept(safe: str) -> None:
    assert choose_request_id(safe) == safe


def test_other_protocols_pass() -> None:
    seen = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(json.dumps(scope["type"]))

    asyncio.run(EdgeMiddleware(app)({"type": "lifespan"}, None, None))  # type: ignore[arg-type]
    assert seen == ['"lifespan"']
