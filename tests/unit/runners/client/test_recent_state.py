"""The runner's state for those who ask often."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from runners.client.interface import RunnerState
from runners.client.recent_state import FRESH_SECONDS, STALE_SECONDS, RecentState
from transcription.core.audio import Window
from transcription.core.errors import ServiceUnavailable
from transcription.core.options import DecodeOptions, Ticket
from transcription.core.transcript import WindowResult

READY = RunnerState(ready=True, device="cpu", compute_type="int8", models=())
LOADING = replace(READY, ready=False)


class SlowRunner:
    """Answers when it may, with what it is told to."""

    def __init__(self) -> None:
        self.asked = 0
        self.answer: RunnerState | ServiceUnavailable = LOADING
        self.may_answer = asyncio.Event()
        self.may_answer.set()

    async def state(self) -> RunnerState:
        self.asked += 1
        await self.may_answer.wait()
        if isinstance(self.answer, ServiceUnavailable):
            raise self.answer
        return self.answer

    async def transcribe(self, window: Window, options: DecodeOptions, ticket: Ticket) -> WindowResult:
        raise NotImplementedError


class Scene:
    """A runner, its recent state and the time."""

    def __init__(self) -> None:
        self.runner = SlowRunner()
        self.now = 0.0
        self.recent = RecentState(self.runner, lambda: self.now)

    async def pass_by(self, seconds: float) -> None:
        self.now += seconds
        await asyncio.sleep(0)


def test_many_callers_at_once_cost_one_request() -> None:
    async def scenario() -> int:
        scene = Scene()
        assert await asyncio.gather(*(scene.recent.get() for _ in range(32))) == [LOADING] * 32
        return scene.runner.asked

    assert asyncio.run(scenario()) == 1


def test_while_the_runner_is_slow_the_last_answer_is_returned_at_once() -> None:
    async def scenario() -> None:
        scene = Scene()
        await scene.recent.get()
        scene.runner.may_answer.clear()
        await scene.pass_by(FRESH_SECONDS)
        async with asyncio.timeout(1):
            assert await scene.recent.get() == LOADING
        assert scene.runner.asked == 1  # the question is on its way
        await asyncio.sleep(0)
        assert scene.runner.asked == 2
        scene.runner.may_answer.set()

    asyncio.run(scenario())


def test_the_next_caller_gets_the_new_answer() -> None:
    async def scenario() -> RunnerState:
        scene = Scene()
        await scene.recent.get()
        scene.runner.answer = READY
        await scene.pass_by(FRESH_SECONDS)
        await scene.recent.get()
        await scene.pass_by(0)
        return await scene.recent.get()

    assert asyncio.run(scenario()) == READY


def test_a_stale_answer_is_never_returned() -> None:
    async def scenario() -> RunnerState:
        scene = Scene()
        await scene.recent.get()
        scene.runner.answer = READY
        await scene.pass_by(STALE_SECONDS)
        return await scene.recent.get()

    assert asyncio.run(scenario()) == READY


def test_a_runner_that_does_not_answer_is_unavailable_until_it_does() -> None:
    async def scenario() -> RunnerState:
        scene = Scene()
        scene.runner.answer = ServiceUnavailable("The model's process does not answer.")
        for _ in range(2):
            with pytest.raises(ServiceUnavailable, match="does not answer"):
                await scene.recent.get()
        scene.runner.answer = READY
        await scene.pass_by(STALE_SECONDS)
        return await scene.recent.get()

    assert asyncio.run(scenario()) == READY


def test_a_cancelled_caller_does_not_cancel_the_request_for_the_others() -> None:
    async def scenario() -> RunnerState:
        scene = Scene()
        scene.runner.may_answer.clear()
        leaving, staying = (asyncio.create_task(scene.recent.get()) for _ in range(2))
        await asyncio.sleep(0)
        leaving.cancel()
        await asyncio.gather(leaving, return_exceptions=True)
        scene.runner.may_answer.set()
        return await staying

    assert asyncio.run(scenario()) == LOADING
