"""A body is made once for all that ask for it, is kept while it is being sent, and is bounded in memory."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from transcription.api import shared_bodies
from transcription.api.shared_bodies import MAX_WAITING, THREADS, Shared, SharedBodies, SharedResponse
from transcription.core.errors import ServiceUnavailable

MEMORY = 1000  # bytes


class Maker:
    """Makes bodies of one size and counts them. opened: they are made from then on."""

    def __init__(self, size: int = 10) -> None:
        self.made = 0
        self._size = size
        self.opened = asyncio.Event()
        self.opened.set()

    async def __call__(self) -> Shared:
        await self.opened.wait()
        self.made += 1
        return Shared(bytes(self._size))


def run(scenario: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(asyncio.wait_for(scenario(), 10))  # type: ignore[arg-type]


def test_a_body_is_made_once_for_all_that_ask_for_it_at_the_same_time() -> None:
    async def scenario() -> None:
        bodies, maker = SharedBodies(MEMORY), Maker()
        found = await asyncio.gather(*(bodies.get("a", maker) for _ in range(64)))
        assert maker.made == 1
        assert all(each is found[0] for each in found)

    run(scenario)


def test_a_body_is_kept_while_a_response_has_it_and_dropped_after(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared_bodies, "KEEP_SECONDS", 0.0)

    async def scenario() -> None:
        bodies, maker = SharedBodies(MEMORY), Maker()
        response = SharedResponse(await bodies.get("a", maker))
        await asyncio.sleep(0.01)
        assert await bodies.get("a", maker) is response.shared
        await asyncio.sleep(0.01)
        del response
        gc.collect()
        assert bodies.size == 0
        await bodies.get("a", maker)
        assert maker.made == 2

    run(scenario)


def test_a_body_is_kept_for_a_while_after_it_was_asked_for() -> None:
    async def scenario() -> None:
        bodies, maker = SharedBodies(MEMORY), Maker()
        await bodies.get("a", maker)
        gc.collect()
        await bodies.get("a", maker)
        assert maker.made == 1

    run(scenario)


def test_bodies_that_nobody_reads_make_room_for_others() -> None:
    async def scenario() -> None:
        bodies, maker = SharedBodies(MEMORY), Maker(size=MEMORY // 2 + 1)
        for key in range(10):
            await bodies.get(key, maker)
            assert bodies.size <= 2 * MEMORY

    run(scenario)


def test_a_new_body_is_refused_while_readers_hold_all_the_memory() -> None:
    async def scenario() -> None:
        bodies, maker = SharedBodies(MEMORY), Maker(size=MEMORY + 1)
        held = await bodies.get("a", maker)
        with pytest.raises(ServiceUnavailable) as refused:
            await bodies.get("b", maker)
        assert refused.value.retry_after > 0
        assert await bodies.get("a", maker) is held

    run(scenario)


def test_more_different_bodies_than_may_wait_are_refused() -> None:
    async def scenario() -> None:
        bodies, maker = SharedBodies(MEMORY), Maker()
        maker.opened.clear()
        asked = [asyncio.create_task(bodies.get(key, maker)) for key in range(MAX_WAITING + THREADS)]
        await asyncio.sleep(0)
        with pytest.raises(ServiceUnavailable):
            await bodies.get("one more", maker)
        maker.opened.set()
        await asyncio.gather(*asked)
        assert maker.made == MAX_WAITING + THREADS

    run(scenario)


def test_a_failure_reaches_all_that_ask_and_is_not_kept() -> None:
    async def scenario() -> None:
        bodies, maker = SharedBodies(MEMORY), Maker()

        async def fail() -> Shared:
            raise ServiceUnavailable("Not now.")

        outcomes = await asyncio.gather(*(bodies.get("a", fail) for _ in range(3)), return_exceptions=True)
        assert [type(outcome) for outcome in outcomes] == [ServiceUnavailable] * 3
        assert (await bodies.get("a", maker)).content == bytes(10)

    run(scenario)


def test_a_client_that_leaves_does_not_end_the_work_for_the_others() -> None:
    async def scenario() -> None:
        bodies, maker = SharedBodies(MEMORY), Maker()
        maker.opened.clear()
        leaving, staying = (asyncio.create_task(bodies.get("a", maker)) for _ in range(2))
        await asyncio.sleep(0)
        leaving.cancel()
        maker.opened.set()
        assert (await staying).content == bytes(10)
        assert maker.made == 1

    run(scenario)


def test_a_response_sends_the_shared_bytes_themselves_between_its_own() -> None:
    async def scenario() -> None:
        shared = Shared(b"shared", {"Content-Type": "text/plain"})
        sent: list[dict[str, Any]] = []

        async def send(message: Any) -> None:
            sent.append(message)

        response = SharedResponse(shared, before=b"<", after=b">")
        await response({"type": "http"}, None, send)  # type: ignore[arg-type]
        assert dict(sent[0]["headers"])[b"content-length"] == b"8"
        assert b"".join(message["body"] for message in sent[1:]) == b"<shared>" == response.to_bytes()
        assert any(message["body"] is shared.content for message in sent[1:])

    run(scenario)
