"""One runner of the pool, as its client sees it: the stream of its states, and windows on their way to it."""

from __future__ import annotations

import asyncio
import errno
import socket
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import replace
from enum import Enum, auto
from http import HTTPStatus

import aiohttp
import structlog
from aiohttp.abc import AbstractResolver, ResolveResult

from runners.client.interface import RESTART_SECONDS
from runners.pool.addresses import Address
from runners.pool.backlog import Backlog
from runners.pool.choice import Candidate
from runners.pool.deaths import Deaths
from runners.pool.messages import (
    HEARTBEAT_SECONDS,
    MAX_LINE_BYTES,
    PREFIX,
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
    parse_announcement,
    parse_event,
    render_window,
)
from transcription.core.errors import ServiceUnavailable
from transcription.core.transcript import WindowResult
from transcription.telemetry.tracing import client_traces

CONNECT_SECONDS = 5.0  # also for a loop, here or there, that is busy for a moment
# Without a line for so long a runner stands still, or the network is cut: no packet would say so.
SILENCE_SECONDS = 5 * HEARTBEAT_SECONDS
STALE_SECONDS = 10 * WATCH_SECONDS  # an older state is not believed
SILENT_ERRORS = frozenset((errno.ETIMEDOUT, errno.EHOSTUNREACH, errno.ENETUNREACH, errno.ENETDOWN))
PAUSES = (0.2, 0.5, 1.0, 1.5)  # seconds before the stream of states is asked for again; 2 s for a new runner

log = structlog.get_logger(__name__)


class Lost(Exception):
    """The runner's answer to a window did not come.

    instance: of its process. was_running: the window was on its device. silent: nothing came any more; else the
    connection has ended.
    """

    def __init__(self, reason: str, instance: str, *, was_running: bool, silent: bool = False) -> None:
        super().__init__(reason)
        self.instance, self.was_running, self.silent = instance, was_running, silent


class Fate(Enum):
    """What has become of the process of a runner: it answers, another one answers in its place, or none does."""

    ALIVE = auto()
    REPLACED = auto()
    UNKNOWN = auto()


class Member:
    """Sends windows to one runner and follows its state.

    token: RUNNER_TOKEN. deaths: learns that the runner answers, and the deaths that it tells. changed: called after
    every change of the state. clock: monotonic seconds.
    """

    def __init__(
        self,
        address: Address,
        token: str,
        deaths: Deaths,
        changed: Callable[[], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.address = address
        self.problem = "it has not answered yet"
        self._deaths = deaths
        self._changed = changed
        self._clock = clock
        self._latest: Announcement | None = None
        self._heard_at = -STALE_SECONDS
        self._backlog = Backlog()
        self._in_flight = 0
        self._session = aiohttp.ClientSession(
            base_url=address.url,
            headers={"Authorization": f"Bearer {token}"} if token else {},
            # One connection per window: closing it withdraws the window, and it is never one that the runner is about
            # to close as idle.
            connector=aiohttp.TCPConnector(resolver=_Fixed(address), force_close=True, limit=0),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS, sock_read=SILENCE_SECONDS),
            read_bufsize=MAX_LINE_BYTES,
            trust_env=False,
            trace_configs=client_traces(),
        )
        self._watching = asyncio.create_task(self._watch())

    @property
    def announcement(self) -> Announcement | None:
        """Its latest state; None if it takes no windows: it does not answer, drains, or speaks another version."""
        latest = self._latest
        if latest is None or self._clock() - self._heard_at > STALE_SECONDS:
            return None
        return latest if WIRE_VERSION in latest.wire and not latest.draining else None

    @property
    def candidate(self) -> Candidate | None:
        """What the choice needs to know; None while it takes no windows."""
        latest = self.announcement
        if latest is None or not latest.state.ready:
            return None
        models = latest.state.models
        return Candidate(
            str(self.address),
            frozenset(model.name for model in models if model.loaded),
            frozenset(model.name for model in models),
            self._backlog.seconds,
        )

    @property
    def is_busy(self) -> bool:
        """Whether a window is there."""
        return self._in_flight > 0

    async def transcribe(self, message: WindowMessage, queued: Callable[[], None]) -> WindowResult:
        """Have one window decoded. Cancelling closes the connection, which takes it out of the runner's queue.

        queued: called when the runner has taken it.

        Raises Lost, and the domain errors of the runner.
        """
        self._backlog.sent()
        self._in_flight += 1
        arrived = running = False
        latest = self._latest
        instance = latest.instance if latest else ""  # perhaps not any more
        if latest and not latest.callers:
            message = replace(message, ticket=replace(message.ticket, caller=""))
        if latest and not latest.detected_languages:
            message = replace(message, options=replace(message.options, language_detected=False))
        try:
            async with aclosing(self._events(message)) as events:
                async for event in events:
                    running = running or event.progress is Progress.RUNNING
                    if event.progress is Progress.QUEUED and not arrived:
                        arrived, instance = True, event.instance or instance
                        self._backlog.arrived(event.backlog_seconds)
                        queued()
                    if event.reply is not None:
                        return event.reply.unpack()
        except (aiohttp.ClientError, TimeoutError, OSError, Malformed, ValueError) as error:
            reason = f"{type(error).__name__}: {error}"
            raise Lost(reason, instance, was_running=running, silent=_is_silence(error)) from error
        finally:
            self._in_flight -= 1
            if not arrived:
                self._backlog.lost()
        raise Lost("The answer ended early.", instance, was_running=running)

    async def fate_of(self, instance: str) -> Fate:
        """What has become of the process with this instance."""
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                return Fate.ALIVE if (await self._ask_state()).instance == instance else Fate.REPLACED
        except (aiohttp.ClientError, TimeoutError, OSError, Malformed, ServiceUnavailable):
            return Fate.UNKNOWN  # perhaps a proxy between answers that it cannot be reached

    async def close(self) -> None:
        """Stop following the runner."""
        self._watching.cancel()
        await asyncio.gather(self._watching, return_exceptions=True)
        await self._session.close()

    def distrust(self, problem: str) -> None:
        """Send nothing more until its next state arrives."""
        self._latest, self.problem = None, problem
        self._changed()

    async def _events(self, message: WindowMessage) -> AsyncGenerator[Event]:
        headers = {"Content-Type": WINDOW_TYPE}
        # No name for the body, which would keep a second copy of the samples until the answer.
        async with self._session.post(PREFIX + WINDOWS_PATH, data=render_window(message), headers=headers) as response:
            await self._check(response)
            async for line in response.content:
                yield parse_event(line)

    async def _check(self, response: aiohttp.ClientResponse) -> None:
        if response.status == HTTPStatus.OK:
            return
        said = (await response.content.read(500)).decode(errors="replace").strip()
        raise ServiceUnavailable(
            "A runner refuses to work for this service. See the log of the service.",
            detail=f"{self.address} answers {response.status}: {said}",
            retry_after=RESTART_SECONDS,
        )

    async def _ask_state(self) -> Announcement:
        async with self._session.get(PREFIX + WATCH_PATH) as response:
            await self._check(response)
            return parse_announcement(await response.content.readline())

    async def _watch(self) -> None:
        failures = 0
        while True:
            try:
                async with self._session.get(PREFIX + WATCH_PATH) as response:
                    await self._check(response)
                    async for line in response.content:
                        self._hear(parse_announcement(line))
                        failures = 0
                self.distrust("it is stopping")
            except ServiceUnavailable as error:
                self.distrust(error.detail)
            except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
                self.distrust(f"{type(error).__name__}: {error}")
            if not failures:
                log.warning("runner_lost", runner=str(self.address), reason=self.problem)
            await asyncio.sleep(PAUSES[min(failures, len(PAUSES) - 1)])
            failures += 1

    def _hear(self, announcement: Announcement) -> None:
        if self._latest is None:
            compatible = WIRE_VERSION in announcement.wire
            log.info("runner_found", runner=str(self.address), compatible=compatible)
            self.problem = (
                "" if compatible else f"it speaks versions {announcement.wire} of the wire, not {WIRE_VERSION}"
            )
        self._latest, self._heard_at = announcement, self._clock()
        self._backlog.heard(announcement.state.backlog_seconds, announcement.window_seconds)
        self._deaths.answers(self.address, announcement.instance)
        self._deaths.told(announcement.died)
        self._changed()


def _is_silence(error: Exception) -> bool:
    return isinstance(error, TimeoutError) or getattr(error, "errno", None) in SILENT_ERRORS


class _Fixed(AbstractResolver):
    """Resolves the runner's name to its one address, which was found before."""

    def __init__(self, address: Address) -> None:
        self._address = address

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        ip = self._address.ip
        kind = socket.AF_INET6 if ":" in ip else socket.AF_INET
        return [ResolveResult(hostname=host, host=ip, port=port, family=kind, proto=0, flags=socket.AI_NUMERICHOST)]

    async def close(self) -> None:
        """Nothing is open."""
