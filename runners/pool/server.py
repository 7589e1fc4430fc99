"""The runner's side of the wire: windows and the stream of states, as an ASGI application."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
import uuid
from collections.abc import AsyncGenerator, Callable
from typing import TYPE_CHECKING, Protocol

import numpy as np
import structlog
from numpy.typing import NDArray
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from runners.batching.delivery import Delivery
from runners.batching.quarantine import window_fingerprint
from runners.client.interface import RunnerState
from runners.client.wire import Reply
from runners.failed import failed
from runners.pool.deaths import Register
from runners.pool.messages import (
    EVENTS_TYPE,
    HEARTBEAT_SECONDS,
    MAX_BODY_BYTES,
    MAX_TOLD,
    WATCH_PATH,
    WATCH_SECONDS,
    WINDOW_TYPE,
    WINDOWS_PATH,
    WIRE_VERSION,
    Announcement,
    Event,
    Malformed,
    Progress,
    WindowMessage,
    parse_window,
    render_line,
)
from transcription.core.cancellation import cancel_on_disconnect
from transcription.core.errors import ServiceUnavailable, TranscriptionError
from transcription.core.options import DecodeOptions, Ticket
from transcription.core.transcript import WindowResult
from transcription.telemetry.logs import request_context

if TYPE_CHECKING:
    from runners.batching.device import Load

log = structlog.get_logger(__name__)


class Host(Protocol):
    """A device and its models, such as `runners.host.ModelHost`."""

    @property
    def load(self) -> Load:
        """The load at this moment. Cheaper than the state, which looks for models on the disk."""
        ...

    async def decode(
        self, samples: NDArray[np.int16], options: DecodeOptions, ticket: Ticket, delivery: Delivery
    ) -> WindowResult:
        """Decode one window. Cancelling takes it out of the queue."""
        ...

    async def state(self) -> RunnerState:
        """The state at this moment."""
        ...


class RunnerServer:
    """Serves one host. host: returns it, once the process has started."""

    def __init__(self, host: Callable[[], Host]) -> None:
        self._host = host
        self.versions: tuple[int, ...] = (WIRE_VERSION,)  # that clients are told
        self._instance = uuid.uuid4().hex
        self._draining = asyncio.Event()
        self._latest: asyncio.Task[bytes] | None = None
        self._told = Register()
        routes = [
            Route(WATCH_PATH, self._watch, methods=["GET"]),
            Route(WINDOWS_PATH, self._window, methods=["POST"]),
        ]
        self.app = Starlette(routes=routes)

    def drain(self) -> None:
        """Take no more windows, and tell every client. Those that were accepted are finished. Call in the loop."""
        log.info("runner_drains")
        self._draining.set()

    async def _watch(self, _: Request) -> Response:
        return Stream(self._states())

    async def _window(self, request: Request) -> Response:
        if request.headers.get("content-type") != WINDOW_TYPE:
            return PlainTextResponse(f"Send {WINDOW_TYPE}.\n", 415)
        if (body := await _read(request)) is None:
            return PlainTextResponse(f"A window has at most {MAX_BODY_BYTES} bytes.\n", 413)
        try:
            message = parse_window(body)
        except Malformed as error:
            return PlainTextResponse(f"{error}\n", 400)
        return Stream(self._events(message))

    async def _states(self) -> AsyncGenerator[bytes]:
        while True:
            yield await self._state_line()
            if self._draining.is_set():
                return
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(WATCH_SECONDS):
                    await self._draining.wait()

    async def _state_line(self) -> bytes:
        """The state, asked for at most once in WATCH_SECONDS however many clients watch."""
        if self._draining.is_set():
            return render_line(await self._announcement())
        if self._latest is None or (self._latest.done() and self._latest.exception()):
            latest = self._latest = asyncio.create_task(self._render_state())
            asyncio.get_running_loop().call_later(WATCH_SECONDS, self._forget, latest)
        return await asyncio.shield(self._latest)

    async def _render_state(self) -> bytes:
        return render_line(await self._announcement())

    def _forget(self, latest: asyncio.Task[bytes]) -> None:
        if self._latest is latest:
            self._latest = None

    async def _announcement(self) -> Announcement:
        host = self._host()
        return Announcement(
            wire=self.versions,
            instance=self._instance,
            draining=self._draining.is_set(),
            callers=True,
            detected_languages=True,
            window_seconds=host.load.window_seconds,
            died=self._deaths(),
            state=await host.state(),
        )

    def _deaths(self) -> dict[str, dict[str, float]]:
        """What clients have told of deaths, so that every client knows, not only the one that saw them.

        Not those in the journal: this process has no instance for them, and a client would count one death twice.
        """
        self._told.forget_old(time.time())
        return dict(list(self._told.by_window.items())[-MAX_TOLD:])

    async def _events(self, message: WindowMessage) -> AsyncGenerator[bytes]:
        if message.deaths and self._told.add(window_fingerprint(message.samples, message.options), message.deaths):
            self._latest = None  # the next line has them
        with request_context(message.ticket.request_id):
            if self._draining.is_set():
                yield _failed(ServiceUnavailable("The runner is stopping. Try again in a moment."))
                return
            loop, running, told = asyncio.get_running_loop(), asyncio.Event(), threading.Event()

            def started() -> threading.Event:
                try:
                    loop.call_soon_threadsafe(running.set)
                except RuntimeError:  # the loop is closed: no client waits for the window
                    told.set()
                return told

            delivery = Delivery(len(message.deaths), message.admitted, started)
            decoding = asyncio.create_task(
                self._host().decode(message.samples, message.options, message.ticket, delivery)
            )
            try:
                await asyncio.sleep(0)  # a full queue refuses the window at once
                if not decoding.done():
                    backlog = self._host().load.backlog
                    yield render_line(Event(progress=Progress.QUEUED, backlog_seconds=backlog, instance=self._instance))
                async for line in _signs_of_life(decoding, running, told):
                    yield line
                yield await _last(decoding)
            finally:
                told.set()
                decoding.cancel()
                await asyncio.gather(decoding, return_exceptions=True)


class Stream(Response):
    """Sends lines until they end, or until the client disconnects, which closes `lines`."""

    media_type = EVENTS_TYPE

    def __init__(self, lines: AsyncGenerator[bytes]) -> None:
        super().__init__()
        del self.headers["content-length"]
        self._lines = lines

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, whose body was read."""
        with contextlib.suppress(ClientDisconnect):
            await cancel_on_disconnect(receive, self._send(send))

    async def _send(self, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        async with contextlib.aclosing(self._lines) as lines:
            async for line in lines:
                await send({"type": "http.response.body", "body": line, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _signs_of_life(
    decoding: asyncio.Task[WindowResult], running: asyncio.Event, told: threading.Event
) -> AsyncGenerator[bytes]:
    """Lines until the window is decoded: one when it is on the device, and empty ones."""
    on_device = asyncio.create_task(running.wait())
    awaited: set[asyncio.Task[WindowResult] | asyncio.Task[bool]] = {decoding, on_device}
    try:
        while not decoding.done():
            await asyncio.wait(awaited, timeout=HEARTBEAT_SECONDS, return_when=asyncio.FIRST_COMPLETED)
            if on_device.done() and on_device in awaited:
                awaited.discard(on_device)
                yield render_line(Event(progress=Progress.RUNNING))
                told.set()  # the line is in the socket's buffer, which outlives this process
            elif not decoding.done():
                yield render_line(None)
    finally:
        on_device.cancel()


async def _last(decoding: asyncio.Task[WindowResult]) -> bytes:
    try:
        return render_line(Event(reply=Reply(result=await decoding)))
    except TranscriptionError as error:
        return _failed(error)


def _failed(error: TranscriptionError) -> bytes:
    return render_line(Event(reply=failed(error)))


async def _read(request: Request) -> bytes | None:
    """The body; None if it is larger than a window can be."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY_BYTES:
            return None
    return bytes(body)
