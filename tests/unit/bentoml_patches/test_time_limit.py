"""The time limit until a response begins."""

from __future__ import annotations

import asyncio
import gc
import weakref
from contextvars import ContextVar

import httpx
import pytest
from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send

from service import TranscriptionService
from transcription.bentoml_patches.time_limit import TimeLimit

LONG = 3600.0  # seconds
SHORT = 0.05


async def get(app: TimeLimit) -> httpx.Response:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://here") as client:
        return await client.get("/")


async def answer_at_once(scope: Scope, receive: Receive, send: Send) -> None:
    await PlainTextResponse("hello")(scope, receive, send)


def test_a_response_in_time_passes() -> None:
    assert asyncio.run(get(TimeLimit(answer_at_once, LONG))).text == "hello"


def test_no_response_in_time_is_a_504_and_cancels_the_work() -> None:
    cancelled = False

    async def never(scope: Scope, receive: Receive, send: Send) -> None:
        nonlocal cancelled
        try:
            await asyncio.sleep(LONG)
        except asyncio.CancelledError:
            cancelled = True
            raise

    assert asyncio.run(get(TimeLimit(never, SHORT))).status_code == 504
    assert cancelled


def test_a_response_that_has_begun_may_take_longer() -> None:
    async def slowly(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await asyncio.sleep(3 * SHORT)
        await send({"type": "http.response.body", "body": b"hello"})

    assert asyncio.run(get(TimeLimit(slowly, SHORT))).text == "hello"


def test_an_application_that_returns_without_a_response_ends_the_request() -> None:
    async def silent(scope: Scope, receive: Receive, send: Send) -> None:
        return

    async def scenario() -> None:
        async with asyncio.timeout(5):
            await TimeLimit(silent, LONG)({"type": "http"}, None, None)  # type: ignore[arg-type]

    asyncio.run(scenario())


def test_a_timeout_error_of_the_application_is_passed_on() -> None:
    async def failing(scope: Scope, receive: Receive, send: Send) -> None:
        raise TimeoutError("the database")

    with pytest.raises(TimeoutError, match="the database"):
        asyncio.run(TimeLimit(failing, LONG)({"type": "http"}, None, None))  # type: ignore[arg-type]


def test_a_finished_request_can_be_garbage_collected() -> None:
    class Belonging:
        pass

    belongings: ContextVar[Belonging] = ContextVar("belongings")

    async def one_request() -> weakref.ref[Belonging]:
        belongings.set(Belonging())
        await get(TimeLimit(answer_at_once, LONG))
        return weakref.ref(belongings.get())

    async def scenario() -> int:
        kept = [await asyncio.create_task(one_request()) for _ in range(300)]
        gc.collect()
        return sum(reference() is not None for reference in kept)

    # The event loop discards cancelled timers a hundred at a time.
    assert asyncio.run(scenario()) <= 101


def test_the_service_uses_this_middleware_instead_of_bentomls() -> None:
    names = [middleware.cls.__name__ for middleware in TranscriptionService.to_asgi().user_middleware]
    assert "TimeLimit" in names
    assert "TimeoutMiddleware" not in names
