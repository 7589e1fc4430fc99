"""Errors of every origin are sent in one shape."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import httpx
import pytest
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from starlette.websockets import WebSocket
from structlog.testing import capture_logs

from transcription.api.app import route_table
from transcription.api.errors import error_response
from transcription.api.middleware.error_shape import ErrorShapeMiddleware
from transcription.api.middleware.request_id import RequestIdMiddleware
from transcription.core.errors import InvalidApiKey, InvalidParameter, TranscriptionError

SHAPE = {"error", "message", "detail", "timestamp", "request_id"}


def get(app: ASGIApp, path: str = "/x", **headers: str) -> httpx.Response:
    async def call() -> httpx.Response:
        transport = httpx.ASGITransport(RequestIdMiddleware(ErrorShapeMiddleware(app), route_table()))
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            return await client.get(path, headers=headers)

    return asyncio.run(call())


async def crash(scope: Scope, receive: Receive, send: Send) -> None:
    raise RuntimeError("a secret")


async def crash_half_way(scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"half", "more_body": True})
    raise RuntimeError("a secret")


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


def test_an_error_in_our_shape_is_passed_on_unchanged() -> None:
    body = {**dict.fromkeys(SHAPE, "x"), "more": 1}
    assert get(JSONResponse(body, 422)).json() == body


@pytest.mark.parametrize("path", ["/v1/models", "/openai/deployments/x/audio/transcriptions"])
def test_a_wrong_key_is_401_on_openais_paths_only(path: str) -> None:
    refused = error_response(InvalidApiKey("The API key is invalid."))
    answer = get(refused, path)
    assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")
    assert answer.json()["error"] == {
        "message": "The API key is invalid.",
        "type": "invalid_request_error",
        "param": None,
        "code": "invalid_api_key",
    }
    assert get(refused).status_code == 403


@pytest.mark.parametrize("error", [InvalidApiKey("The API key is invalid."), InvalidParameter("Send it.")])
def test_errors_of_deepgrams_path_have_its_shape(error: TranscriptionError) -> None:
    async def refuse(scope: Scope, receive: Receive, send: Send) -> None:
        await error_response(error)(scope, receive, send)

    answer = get(refuse, "/v1/listen")
    assert set(answer.json()) == {"err_code", "err_msg", "request_id"}
    assert answer.json()["err_msg"] == error.message
    assert answer.json()["request_id"] == answer.headers["x-request-id"]
    assert "x-should-retry" not in answer.headers  # OpenAI's


def test_the_name_of_a_parameter_is_for_openais_shape_only() -> None:
    refused = error_response(InvalidParameter("Send it.", parameter="file"))
    assert set(get(refused).json()) == SHAPE
    assert get(refused, "/v1/audio/transcriptions").json()["error"]["param"] == "file"


def test_every_503_has_a_retry_after() -> None:
    assert get(PlainTextResponse("not ready", 503)).headers["retry-after"]


def test_an_exception_is_answered_without_its_message() -> None:
    answer = get(crash)
    assert (answer.status_code, answer.json()["error"]) == (500, "internal_error")
    assert "secret" not in answer.text


def test_an_exception_after_the_start_of_the_response_truncates_it() -> None:
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "GET", "path": "/x", "headers": []}
    asyncio.run(ErrorShapeMiddleware(crash_half_way)(scope, None, send))  # type: ignore[arg-type]
    assert [message.get("more_body") for message in sent] == [None, True]


@pytest.mark.parametrize("accepts", [True, False])
def test_a_websocket_whose_client_has_left_is_no_error(accepts: bool) -> None:
    async def send(_: Message) -> None:
        raise ConnectionResetError

    async def receive() -> Message:
        return {"type": "websocket.connect"}

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        websocket = WebSocket(scope, receive, send)
        await websocket.receive()
        if accepts:
            await websocket.accept()
        else:
            await websocket.send_denial_response(error_response(InvalidParameter("Send it.")))

    scope = {"type": "websocket", "path": "/live", "headers": [], "extensions": {"websocket.http.response": {}}}
    with capture_logs() as logged:
        asyncio.run(ErrorShapeMiddleware(answer)(scope, receive, send))
    assert logged == []


def test_a_crash_after_the_client_of_a_websocket_has_left_is_logged() -> None:
    async def send(_: Message) -> None:
        raise ConnectionResetError

    async def crash_afterwards(scope: Scope, receive: Receive, send: Send) -> None:
        with suppress(OSError):
            await send({"type": "websocket.accept"})
        raise RuntimeError("a secret")

    scope = {"type": "websocket", "path": "/live", "headers": []}
    with capture_logs() as logged:
        asyncio.run(ErrorShapeMiddleware(crash_afterwards)(scope, None, send))  # type: ignore[arg-type]
    assert [entry["event"] for entry in logged] == ["unexpected_error"]


@pytest.mark.parametrize(
    ("accepted", "end"),
    [
        (False, {"type": "websocket.http.response.start", "status": 500}),
        (True, {"type": "websocket.close", "code": 1011}),
    ],
)
def test_a_websocket_whose_handler_crashes_is_refused_or_closed(accepted: bool, end: Message) -> None:
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        return {"type": "websocket.connect"}

    async def crash_early_or_late(scope: Scope, receive: Receive, send: Send) -> None:
        if accepted:
            await send({"type": "websocket.accept"})
        raise RuntimeError("a secret")

    scope = {"type": "websocket", "path": "/live", "headers": []}
    asyncio.run(ErrorShapeMiddleware(crash_early_or_late)(scope, receive, send))
    assert any(end.items() <= message.items() for message in sent)
    assert "a secret" not in str(sent)
