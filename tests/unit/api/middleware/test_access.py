"""What the access and pace middlewares decide, without a server."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import httpx
import pytest
from starlette.responses import PlainTextResponse
from starlette.types import Message, Receive, Scope, Send

from transcription.api.middleware.access import MAX_HEADERS, AccessMiddleware
from transcription.api.middleware.caller import CALLER
from transcription.api.middleware.edge import PROBE_PATHS
from transcription.api.middleware.keys import InvalidKeys, make_key
from transcription.api.middleware.pace import PacedBody
from transcription.core.errors import UploadTooSlow
from transcription.core.settings import Settings

KEY = make_key()


async def tell_caller(scope: Scope, receive: Receive, send: Send) -> None:
    caller = scope.get(CALLER)
    await PlainTextResponse(caller.name if caller else "nobody")(scope, receive, send)


def get(settings: Settings, path: str, **headers: str) -> httpx.Response:
    async def call() -> httpx.Response:
        transport = httpx.ASGITransport(AccessMiddleware(tell_caller, settings))
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            return await client.get(path, headers=headers)

    return asyncio.run(call())


def with_keys(*, protect_probes: bool = False) -> Settings:
    return Settings(enable_api_key=True, api_key=KEY, protect_probes=protect_probes)


def test_who_calls_is_known_inside() -> None:
    assert get(with_keys(), "/models", **{"X-API-Key": KEY}).text == "default"


def test_nobody_needs_a_key_where_keys_are_off() -> None:
    assert get(Settings(enable_api_key=False), "/models").text == "nobody"


@pytest.mark.parametrize("path", sorted(PROBE_PATHS))
def test_a_setting_closes_the_probes(path: str) -> None:
    assert get(with_keys(), path).status_code == 200
    assert get(with_keys(protect_probes=True), path).status_code == 401
    assert get(with_keys(protect_probes=True), path, **{"X-API-Key": KEY}).status_code == 200


def test_the_limit_of_headers_holds_without_keys() -> None:
    headers = {f"x-{number}": "x" for number in range(MAX_HEADERS)}
    assert get(Settings(enable_api_key=False), "/models", **headers).status_code == 431


def test_keys_that_cannot_be_used_stop_the_process() -> None:
    with pytest.raises(InvalidKeys):
        AccessMiddleware(tell_caller, Settings(enable_api_key=True))


def test_a_websocket_is_refused() -> None:
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        return {"type": "websocket.connect"}

    asyncio.run(AccessMiddleware(tell_caller, with_keys())({"type": "websocket"}, receive, send))
    assert [message["type"] for message in sent] == ["websocket.close"]


def body(*chunks: tuple[float, int]) -> Receive:
    """A body that comes in chunks of (seconds before it, bytes) and never ends."""
    coming: Iterator[tuple[float, int]] = iter(chunks)

    async def receive() -> Message:
        pause, size = next(coming)
        await asyncio.sleep(pause)
        return {"type": "http.request", "body": b"x" * size, "more_body": True}

    return receive


def read(receive: Receive, chunks: int, *, timeout: float, rate: int, our_pause: float = 0.0) -> None:
    async def run() -> None:
        paced = PacedBody(receive, timeout, rate)
        for _ in range(chunks):
            await paced.receive()
            await asyncio.sleep(our_pause)

    asyncio.run(run())


def test_a_pause_that_is_too_long_ends_the_upload() -> None:
    with pytest.raises(UploadTooSlow, match=r"for 0\.05 s"):
        read(body((0, 10), (5, 10)), 2, timeout=0.05, rate=0)


def test_an_upload_may_be_slow_for_a_while_but_not_for_long() -> None:
    read(body((0.03, 1), (0.03, 1)), 2, timeout=0.1, rate=1000)
    with pytest.raises(UploadTooSlow, match="1000 bytes a second"):
        read(body(*[(0.03, 1)] * 6), 6, timeout=0.1, rate=1000)


def test_time_that_we_take_ourselves_does_not_count() -> None:
    read(body(*[(0, 1)] * 4), 4, timeout=0.05, rate=1000, our_pause=0.05)


def test_a_rate_of_0_is_any() -> None:
    read(body(*[(0.03, 1)] * 4), 4, timeout=0.05, rate=0)


def test_nobody_is_hurried_once_the_body_is_there() -> None:
    async def run() -> Message:
        messages = iter([(0.0, {"type": "http.request", "body": b"x"}), (0.2, {"type": "http.disconnect"})])

        async def receive() -> Message:
            pause, message = next(messages)
            await asyncio.sleep(pause)
            return message

        paced = PacedBody(receive, 0.05, 1000)
        await paced.receive()
        return await paced.receive()

    assert asyncio.run(run())["type"] == "http.disconnect"
