"""The limit on the time until an answer begins."""

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


def test_an_answer_in_time_passes() -> None:
    assert asyncio.run(get(TimeLimit(answer_at_once, LONG))).text == "hello"


def test_no_answer_in_time_is_a_504_and_the_work_is_cancelled() -> None:
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


def test_an_answer_that_has_begun_may_take_longer() -> None:
    async def slowly(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await asyncio.sleep(3 * SHORT)
        await send({"type": "http.response.body", "body": b"hello"})

    assert asyncio.run(get(TimeLimit(slowly, SHORT))).text == "hello"


def test_an_application_that_answers_nothing_does_not_hold_the_request() -> None:
    async def silent(scope: Scope, receive: Receive, send: Send) -> None:
        return

    async def scenario() -> None:
        async with asyncio.timeout(5):
            await TimeLimit(silent, LONG)({"type": "http"}, None, None)  # type: ignore[arg-type]

    asyncio.run(scenario())


def test_a_timeout_of_the_application_itself_is_its_own() -> None:
    async def failing(scope: Scope, receive: Receive, send: Send) -> None:
        raise TimeoutError("the database")

    with pytest.raises(TimeoutError, match="the database"):
        asyncio.run(TimeLimit(failing, LONG)({"type": "http"}, None, None))  # type: ignore[arg-type]


def test_nothing_of_a_request_is_kept_once_it_is_answered() -> None:
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

    # The event loop throws stopped timers away a hundred at a time.
    assert asyncio.run(scenario()) <= 101


def test_the_service_has_this_limit_and_not_that_of_bentoml() -> None:
    names = [middleware.cls.__name__ for middleware in TranscriptionService.to_asgi().user_middleware]
    assert "TimeLimit" in names
    assert "TimeoutMiddleware" not in names
