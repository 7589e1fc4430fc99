"""The background tasks of jobs go on after any error, and are started again when they end."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from transcription.api.routes.health import check_background
from transcription.core.errors import InsufficientStorage
from transcription.jobs import housekeeping, worker
from transcription.jobs.housekeeping import Housekeeping
from transcription.jobs.worker import Worker
from transcription.telemetry.background import BackgroundTasks


class Calls:
    """Stands for a store and every other part. failing: errors by method, each raised once."""

    def __init__(self, **failing: BaseException) -> None:
        self.failing = failing
        self.called: list[str] = []
        self.stopping = asyncio.Event()

    def __getattr__(self, name: str) -> Any:
        async def call(*_: object, **__: object) -> None:
            self.called.append(name)
            if name in self.failing:
                raise self.failing.pop(name)
            if name == "run":
                await asyncio.Event().wait()

        return call

    def cancel(self) -> frozenset[asyncio.Task[None]]:
        return frozenset()

    async def until(self, *names: str) -> None:
        async with asyncio.timeout(30):
            while not set(names) <= set(self.called):
                await asyncio.sleep(0.01)


def kept_house(settings: Any, calls: Calls, background: BackgroundTasks) -> Housekeeping:
    parts: list[Any] = [calls] * 6
    return Housekeeping(settings, *parts, background)


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(housekeeping, "CLEANUP_SECONDS", 0.0)
    monkeypatch.setattr(worker, "POLL_SECONDS", 0.0)


@pytest.mark.parametrize("step", ["expire", "recordings_in_use", "sweep", "back_up"])
@pytest.mark.parametrize(
    "error", [InsufficientStorage("full"), KeyError("a row that cannot be read"), OSError(5, "no")]
)
def test_an_error_in_one_step_of_the_cleanup_does_not_stop_the_others(settings, step, error):
    async def scenario() -> None:
        calls, background = Calls(**{step: error}), BackgroundTasks()
        keeping = kept_house(settings, calls, background)
        keeping.start()
        await calls.until("expire", "sweep", "back_up")
        assert background.down == {}
        await keeping.stop()

    asyncio.run(scenario())


def test_a_dispatcher_that_fails_is_started_again_and_the_process_goes_on(settings):
    async def scenario() -> None:
        calls, background = Calls(run=RuntimeError("odd")), BackgroundTasks(first_delay=0.0)
        keeping = kept_house(settings, calls, background)
        keeping.start()
        async with asyncio.timeout(30):
            while calls.called.count("run") < 3:  # the dispatcher, the deliverer, and the one of them that failed
                await asyncio.sleep(0.01)
        await keeping.stop()

    asyncio.run(scenario())


def test_a_stop_ends_the_tasks_of_jobs_and_closes_the_store(settings):
    async def scenario() -> None:
        calls, background = Calls(), BackgroundTasks()
        keeping = kept_house(settings, calls, background)
        keeping.start()
        await calls.until("run", "expire")
        await keeping.stop()
        assert calls.stopping.is_set()
        assert calls.called[-1] == "close"

    asyncio.run(scenario())


def test_jobs_are_begun_although_one_could_not_be_claimed(settings):
    async def scenario() -> None:
        calls: Any = Calls(claim=KeyError("a row that cannot be read"))
        running = asyncio.create_task(Worker(calls, calls, calls, calls, settings).run())
        async with asyncio.timeout(30):
            while calls.called.count("claim") < 2:
                await asyncio.sleep(0.01)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

    asyncio.run(scenario())


def test_a_background_task_that_is_down_is_named_by_readiness():
    backend: Any = SimpleNamespace(background=SimpleNamespace(down={"webhooks": "RuntimeError: odd"}))
    assert "webhooks" in check_background(backend).reason
    backend.background.down = {}
    assert check_background(backend).reason == ""
