"""Background tasks of a process: an error with one item does not end them, and one that ends is started again.

Both are logged and counted. A task that is not running makes /health/ready answer 503.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

import structlog

from transcription.core.errors import TranscriptionError
from transcription.telemetry import metrics

FIRST_DELAY, MAX_DELAY = 1.0, 60.0  # seconds before a task is started again; doubled each time
STEADY_SECONDS = 60.0  # after this the next delay is the first one again

log = structlog.get_logger(__name__)


class BackgroundTasks:
    """Runs tasks that are never to end, until they are cancelled.

    first_delay: seconds before a task is started again for the first time. clock: monotonic seconds.
    """

    def __init__(self, first_delay: float = FIRST_DELAY, clock: Callable[[], float] = time.monotonic) -> None:
        self._first_delay = first_delay
        self._clock = clock
        self._down: dict[str, str] = {}
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def down(self) -> dict[str, str]:
        """The tasks that are not running, with the reasons for which they ended."""
        return dict(self._down)

    def start(self, name: str, run: Callable[[], Awaitable[None]]) -> asyncio.Task[None]:
        """Start a task. To end it, cancel what is returned, or call `stop`. name: for the log and the metrics."""
        task = asyncio.create_task(self._keep_running(name, run))
        self._tasks.append(task)
        return task

    async def stop(self) -> None:
        """Cancel every task and wait for their ends."""
        for task in self._tasks:
            if not task.cancelling():  # a second time would interrupt its end
                task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _keep_running(self, name: str, run: Callable[[], Awaitable[None]]) -> None:
        delay = self._first_delay
        while True:
            started = self._clock()
            self._down.pop(name, None)
            metrics.BACKGROUND_UP.labels(task=name).set(1)
            reason = await _end_of(name, run)
            self._down[name] = reason
            metrics.BACKGROUND_UP.labels(task=name).set(0)
            metrics.BACKGROUND_RESTARTS.labels(task=name).inc()
            if self._clock() - started > STEADY_SECONDS:
                delay = self._first_delay
            await asyncio.sleep(delay)
            delay = min(MAX_DELAY, delay * 2)


async def _end_of(name: str, run: Callable[[], Awaitable[None]]) -> str:
    """Run a task to its end, and return the reason of that. Raises CancelledError if the caller is cancelled."""
    try:
        await run()
    except asyncio.CancelledError:
        current = asyncio.current_task()
        if current is None or current.cancelling():
            raise
        reason = "cancelled"  # by something that the task waited for
        log.error("background_task_ended", task=name, reason=reason)
    except Exception as error:
        reason = f"{type(error).__name__}: {error}"
        log.exception("background_task_ended", task=name, reason=reason)
    else:
        reason = "ended"
        log.error("background_task_ended", task=name, reason=reason)
    return reason


@contextmanager
def going_on(task: str, **facts: str) -> Iterator[None]:
    """Log and count an error with one item of a background task, so that the task goes on with the next one.

    task: its name, for the log and the metrics. facts: for the log, such as the item's name.
    """
    try:
        yield
    except Exception as error:
        metrics.BACKGROUND_ERRORS.labels(task=task).inc()
        if isinstance(error, TranscriptionError):  # such as a full disk
            log.warning("background_error", task=task, reason=error.message, detail=error.detail, **facts)
        elif isinstance(error, OSError):
            log.warning("background_error", task=task, reason=str(error), **facts)
        else:
            log.exception("background_error", task=task, reason=f"{type(error).__name__}: {error}", **facts)
