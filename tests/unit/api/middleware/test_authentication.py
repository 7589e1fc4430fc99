"""Which requests need a key, and which key is accepted."""

from __future__ import annotations

import asyncio

import httpx
import pytest
from starlette.responses import PlainTextResponse
from starlette.types import Message, Receive, Scope, Send

from transcription.api.app import route_table
from transcription.api.caller import CALLER
from transcription.api.middleware.api_keys import InvalidKeys, make_key
from transcription.api.middleware.authentication import MAX_HEADERS, AuthenticationMiddleware
from transcription.core.settings import Settings

KEY = make_key()
ROUTES = route_table()


async def answer_caller(scope: Scope, receive: Receive, send: Send) -> None:
    caller = scope.get(CALLER)
    await PlainTextResponse(caller.name if caller else "anonymous")(scope, receive, send)


def get(settings: Settings, path: str, **headers: str) -> httpx.Response:
    async def call() -> httpx.Response:
        transport = httpx.ASGITransport(AuthenticationMiddleware(answer_caller, settings, ROUTES))
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            return await client.get(path, headers=headers)

    return asyncio.run(call())


def with_keys(*, protect_probes: bool = False) -> Settings:
    return Settings(enable_api_key=True, api_key=KEY, protect_probes=protect_probes)


def test_the_application_receives_the_owner_of_the_key() -> None:
    assert get(with_keys(), "/models", **{"X-API-Key": KEY}).text == "default"


@pytest.mark.parametrize("header", ["X-API-Key", "api-key"])
def test_a_key_is_read_from_our_header_and_from_azures(header: str) -> None:
    assert get(with_keys(), "/models", **{header: KEY}).text == "default"
    assert get(with_keys(), "/models", **{header: make_key()}).status_code == 403


def test_no_key_is_needed_when_keys_are_disabled() -> None:
    assert get(Settings(enable_api_key=False), "/models").text == "anonymous"


@pytest.mark.parametrize("path", sorted(ROUTES.probe_paths))
def test_protect_probes_requires_a_key_for_probes(path: str) -> None:
    assert get(with_keys(), path).status_code == 200
    assert get(with_keys(protect_probes=True), path).status_code == 401
    assert get(with_keys(protect_probes=True), path, **{"X-API-Key": KEY}).status_code == 200


def test_the_limit_on_headers_applies_when_keys_are_disabled() -> None:
    headers = {f"x-{number}": "x" for number in range(MAX_HEADERS)}
    assert get(Settings(enable_api_key=False), "/models", **headers).status_code == 431


def test_invalid_keys_stop_the_process() -> None:
    with pytest.raises(InvalidKeys):
        AuthenticationMiddleware(answer_caller, Settings(enable_api_key=True), ROUTES)


def test_a_websocket_is_refused() -> None:
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        return {"type": "websocket.connect"}

    asyncio.run(AuthenticationMiddleware(answer_caller, with_keys(), ROUTES)({"type": "websocket"}, receive, send))
    assert [message["type"] for message in sent] == ["websocket.close"]
