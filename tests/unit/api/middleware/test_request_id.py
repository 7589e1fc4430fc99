"""The choice of the request id."""

from __future__ import annotations

import asyncio
import json

import httpx
import pytest
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from transcription.api.middleware.request_id import RequestIdMiddleware, choose_request_id
from transcription.api.route_facts import RouteTable
from transcription.telemetry.logs import current_request_id

ROUTES = RouteTable([])


def get(app: ASGIApp, **headers: str) -> httpx.Response:
    async def call() -> httpx.Response:
        transport = httpx.ASGITransport(RequestIdMiddleware(app, ROUTES))
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            return await client.get("/x", headers=headers)

    return asyncio.run(call())


async def tell_request_id(scope: Scope, receive: Receive, send: Send) -> None:
    await PlainTextResponse(current_request_id())(scope, receive, send)


def test_a_response_has_a_request_id() -> None:
    answer = get(PlainTextResponse("fine"))
    assert answer.text == "fine"
    assert len(answer.headers["x-request-id"]) == 36


def test_the_application_sees_the_request_id_of_the_client() -> None:
    assert get(tell_request_id, **{"X-Request-ID": "mine"}).text == "mine"


@pytest.mark.parametrize("unsafe", [None, "", "a b", "x" * 129, "ü", "a\n", '"'])
def test_an_unsafe_request_id_is_replaced(unsafe: str | None) -> None:
    assert choose_request_id(unsafe) != unsafe


@pytest.mark.parametrize("safe", ["a", "x" * 128, "2f1c7f3e-9f0e-4c39", "Root=1-abc:def/x_y.z+1"])
def test_a_safe_request_id_is_kept(safe: str) -> None:
    assert choose_request_id(safe) == safe


def test_other_protocols_are_passed_through() -> None:
    seen = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(json.dumps(scope["type"]))

    asyncio.run(RequestIdMiddleware(app, ROUTES)({"type": "lifespan"}, None, None))  # type: ignore[arg-type]
    assert seen == ['"lifespan"']
