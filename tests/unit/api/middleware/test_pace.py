"""The minimum rate of uploads, in simulated time."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterator
from typing import TypeVar

import pytest
from starlette.types import Message, Receive

from benchmarks.simulated import SimulatedLoop
from transcription.api.middleware.pace import PacedBody
from transcription.core.errors import UploadTooSlow

Answer = TypeVar("Answer")


def simulated(work: Coroutine[None, None, Answer]) -> Answer:
    with asyncio.Runner(loop_factory=SimulatedLoop) as runner:
        return runner.run(work)


def body(*chunks: tuple[float, int]) -> Receive:
    """A body that arrives in chunks of (delay in seconds, bytes) and never ends."""
    coming: Iterator[tuple[float, int]] = iter(chunks)

    async def receive() -> Message:
        pause, size = next(coming)
        await asyncio.sleep(pause)
        return {"type": "http.request", "body": b"x" * size, "more_body": True}

    return receive


def read(receive: Receive, chunks: int, *, timeout: float, rate: int, service_pause: float = 0.0) -> None:
    async def run() -> None:
        paced = PacedBody(receive, timeout, rate)
        for _ in range(chunks):
            await paced.receive()
            await asyncio.sleep(service_pause)

    simulated(run())


def test_a_pause_that_is_too_long_aborts_the_upload() -> None:
    with pytest.raises(UploadTooSlow, match=r"for 0\.05 s"):
        read(body((0, 10), (5, 10)), 2, timeout=0.05, rate=0)


def test_an_upload_may_be_slow_briefly_but_not_for_long() -> None:
    read(body((0.03, 1), (0.03, 1)), 2, timeout=0.1, rate=1000)
    with pytest.raises(UploadTooSlow, match="1000 bytes per second"):
        read(body(*[(0.03, 1)] * 6), 6, timeout=0.1, rate=1000)


def test_time_spent_by_the_service_does_not_count() -> None:
    read(body(*[(0, 1)] * 4), 4, timeout=0.05, rate=1000, service_pause=0.05)


def test_a_rate_of_0_allows_any_speed() -> None:
    read(body(*[(0.03, 1)] * 4), 4, timeout=0.05, rate=0)


def test_waiting_after_the_whole_body_has_no_deadline() -> None:
    async def run() -> Message:
        messages = iter([(0.0, {"type": "http.request", "body": b"x"}), (0.2, {"type": "http.disconnect"})])

        async def receive() -> Message:
            pause, message = next(messages)
            await asyncio.sleep(pause)
            return message

        paced = PacedBody(receive, 0.05, 1000)
        await paced.receive()
        return await paced.receive()

    assert simulated(run())["type"] == "http.disconnect"
