"""Bodies of responses that several clients read at the same time: made once, off the event loop, and not copied.

A body lives while a response sends it, and at least KEEP_SECONDS after it was last asked for. However many clients read
it, and however slowly, it is in memory once.
"""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import Awaitable, Callable, Hashable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TypeVar

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from transcription.core.errors import ServiceUnavailable

THREADS = 2
MAX_WAITING = 32  # different results that wait for a thread
KEEP_SECONDS = 10.0  # after the latest request
RETRY_SECONDS = 5.0

T = TypeVar("T")


@dataclass(frozen=True, slots=True, weakref_slot=True)
class Shared:
    """A rendered result, which several responses may be sending. headers: of these responses."""

    content: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


class SharedResponse(Response):
    """A response with a shared body, which is not copied. before, after: bytes around it.

    shared: kept as long as this response is being sent.
    """

    def __init__(self, shared: Shared, *, before: bytes = b"", after: bytes = b"") -> None:
        self._parts = [part for part in (before, shared.content, after) if part]
        self.shared = shared
        length = sum(map(len, self._parts))
        super().__init__(headers={**shared.headers, "Content-Length": str(length)})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the response."""
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        for part in self._parts:
            await send({"type": "http.response.body", "body": part, "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    def to_bytes(self) -> bytes:
        """The whole body."""
        return b"".join(self._parts)


class SharedBodies:
    """Makes bodies, each once for all that ask for it meanwhile. memory: bytes that all of them may take together."""

    def __init__(self, memory: int) -> None:
        self._memory = memory
        self._alive: weakref.WeakValueDictionary[Hashable, Shared] = weakref.WeakValueDictionary()
        self._kept: dict[Hashable, tuple[Shared, asyncio.TimerHandle]] = {}  # the one asked for longest ago is first
        self._running: dict[Hashable, asyncio.Task[Shared]] = {}
        self._slots = asyncio.Semaphore(THREADS)
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="render")

    async def get(self, key: Hashable, make: Callable[[], Awaitable[Shared]]) -> Shared:
        """The body of this key; `make` makes it unless it exists. Raises ServiceUnavailable, and what `make` raises."""
        found = self._alive.get(key)
        if found is None:
            running = self._running.get(key) or self._start(key, make)
            found = await asyncio.shield(running)  # others may wait for it when this client leaves
        self._keep(key, found)
        return found

    async def run(self, work: Callable[..., T], *arguments: object) -> T:
        """Call `work` in a thread for rendering. To be called by `make`."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, work, *arguments)

    @property
    def size(self) -> int:
        """Bytes that the bodies take at present."""
        return sum(len(shared.content) for shared in self._alive.values())

    def _start(self, key: Hashable, make: Callable[[], Awaitable[Shared]]) -> asyncio.Task[Shared]:
        self._make_room()
        if len(self._running) >= MAX_WAITING + THREADS:
            raise ServiceUnavailable(
                "Too many different results are being requested. Try again in a moment.", retry_after=RETRY_SECONDS
            )

        async def limited() -> Shared:
            async with self._slots:
                return await make()

        def ended(task: asyncio.Task[Shared]) -> None:
            del self._running[key]
            if not task.cancelled() and task.exception() is None:
                self._alive[key] = task.result()
                self._keep(key, task.result())

        task = self._running[key] = asyncio.create_task(limited())
        task.add_done_callback(ended)
        return task

    def _make_room(self) -> None:
        while self.size > self._memory and self._kept:
            self._drop(next(iter(self._kept)))
        if self.size > self._memory:
            raise ServiceUnavailable(
                "The results that other clients are reading take all the memory for results. Try again in a moment.",
                retry_after=RETRY_SECONDS,
            )

    def _keep(self, key: Hashable, shared: Shared) -> None:
        self._drop(key)
        self._kept[key] = (shared, asyncio.get_running_loop().call_later(KEEP_SECONDS, self._drop, key))

    def _drop(self, key: Hashable) -> None:
        if key in self._kept:
            _, timer = self._kept.pop(key)
            timer.cancel()
