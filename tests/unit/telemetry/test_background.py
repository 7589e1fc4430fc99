"""A background task that ends is started again; an error with one item does not end it."""

import asyncio

import pytest
from prometheus_client import REGISTRY
from structlog.testing import capture_logs

from transcription.core.errors import ServiceUnavailable
from transcription.telemetry.background import BackgroundTasks, going_on


def value_of(metric, task):
    return REGISTRY.get_sample_value(f"transcription_background_{metric}", {"task": task}) or 0.0


class Failing:
    """A task that ends in a given way each time, and then runs until it is cancelled."""

    def __init__(self, *ends):
        self.ends = list(ends)
        self.running = asyncio.Event()

    async def run(self):
        if not self.ends:
            self.running.set()
            await asyncio.Event().wait()
        end = self.ends.pop(0)
        if end:
            raise end


@pytest.mark.parametrize(
    "end", [RuntimeError("odd"), ExceptionGroup("g", [OSError("odd")]), asyncio.CancelledError(), None]
)
def test_a_task_that_ends_is_started_again(end):
    async def scenario():
        background, task = BackgroundTasks(first_delay=0.0), Failing(end, end)
        background.start("again", task.run)
        await task.running.wait()
        assert background.down == {}
        assert value_of("task_up", "again") == 1
        await background.stop()

    before = value_of("restarts_total", "again")
    with capture_logs() as logs:
        asyncio.run(scenario())
    assert value_of("restarts_total", "again") - before == 2
    assert [(entry["event"], entry["log_level"]) for entry in logs] == [("background_task_ended", "error")] * 2


def test_a_task_that_waits_to_be_started_again_is_down_with_the_reason():
    async def scenario():
        background, task = BackgroundTasks(first_delay=1000.0), Failing(RuntimeError("odd"))
        background.start("waiting", task.run)
        async with asyncio.timeout(10):
            while not background.down:
                await asyncio.sleep(0)
        assert background.down == {"waiting": "RuntimeError: odd"}
        assert value_of("task_up", "waiting") == 0
        await background.stop()

    asyncio.run(scenario())


def test_other_tasks_go_on_while_one_is_down():
    async def scenario():
        background, task = BackgroundTasks(first_delay=1000.0), Failing()
        background.start("odd", Failing(RuntimeError()).run)
        background.start("good", task.run)
        await task.running.wait()
        await asyncio.sleep(0)
        assert list(background.down) == ["odd"]
        await background.stop()

    asyncio.run(scenario())


def test_a_task_that_is_cancelled_is_not_started_again():
    async def scenario():
        background, task = BackgroundTasks(first_delay=0.0), Failing()
        running = background.start("cancelled", task.run)
        await task.running.wait()
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        assert background.down == {}

    asyncio.run(scenario())


@pytest.mark.parametrize("error", [ServiceUnavailable("full"), PermissionError(1, "no"), KeyError("odd")])
def test_an_error_with_one_item_is_logged_and_counted_and_the_rest_goes_on(error):
    before, done = value_of("errors_total", "items"), []
    with capture_logs() as logs:
        for item in range(3):
            with going_on("items", item=str(item)):
                if item == 1:
                    raise error
                done.append(item)
    assert done == [0, 2]
    assert value_of("errors_total", "items") - before == 1
    assert [(entry["event"], entry["task"], entry["item"]) for entry in logs] == [("background_error", "items", "1")]


def test_a_cancellation_is_no_error_with_an_item():
    with pytest.raises(asyncio.CancelledError), going_on("items"):
        raise asyncio.CancelledError
