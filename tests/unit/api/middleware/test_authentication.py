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


def open_websocket(headers: list[tuple[bytes, bytes]], *subprotocols: str) -> list[Message]:
    """What the middleware sends, or the application inside it."""
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        return {"type": "websocket.connect"}

    async def accept(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "websocket.accept", "owner": scope[CALLER].name})

    scope = {"type": "websocket", "path": "/live", "headers": headers, "subprotocols": subprotocols}
    asyncio.run(AuthenticationMiddleware(accept, with_keys(), ROUTES)(scope, receive, send))
    return sent


def test_a_websocket_without_a_key_is_refused() -> None:
    refusal, _ = open_websocket([], "transcription.live")
    assert (refusal["type"], refusal["status"]) == ("websocket.http.response.start", 401)


def test_a_websocket_with_a_wrong_key_is_refused() -> None:
    assert open_websocket([(b"x-api-key", b"wrong")])[0]["status"] == 403


@pytest.mark.parametrize("prefix", ["api-key.", "openai-insecure-api-key."])
def test_a_browser_sends_the_key_of_a_websocket_as_a_subprotocol(prefix: str) -> None:
    assert open_websocket([], "transcription.live", f"{prefix}{KEY}")[0]["type"] == "websocket.accept"


def test_other_clients_send_the_key_of_a_websocket_in_a_header() -> None:
    assert open_websocket([(b"authorization", f"Bearer {KEY}".encode())])[0]["type"] == "websocket.accept"
