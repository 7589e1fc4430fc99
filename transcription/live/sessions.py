"""The live sessions of a process, and their limits."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from runners.client.interface import Runner
from transcription.core.errors import ServiceUnavailable, TooManyStreams, TranscriptionError
from transcription.core.settings import Settings
from transcription.live.allowance import Allowance, AudioMeter, LiveClient
from transcription.live.options import LiveOptions
from transcription.live.pace import Pace
from transcription.live.session import LiveSession
from transcription.live.work import STOP_SECONDS
from transcription.telemetry import metrics

RETRY_SECONDS = 15.0
CLOSE_SECONDS = STOP_SECONDS + 1.0  # until a session is closed, whatever it still does


class LiveSessions:
    """Opens sessions, while there is room. clock: monotonic seconds. meter: counts the audio; None for no limit."""

    def __init__(
        self,
        runner: Runner,
        settings: Settings,
        clock: Callable[[], float] = time.monotonic,
        meter: AudioMeter | None = None,
    ) -> None:
        self._runner = runner
        self._settings = settings
        self._clock = clock
        self._meter = meter
        self._pace = Pace()
        self._open: dict[str, LiveSession] = {}
        self._owners: dict[str, str] = {}  # keys of clients, by session
        self._set_aside: dict[str, LiveSession] = {}  # those without a client, the longest first
        self._finishing: set[asyncio.Task[None]] = set()
        self._stopping = False

    def __len__(self) -> int:
        """Number of open sessions."""
        return len(self._open)

    @property
    def stopping(self) -> bool:
        """Whether the service stops: no session is opened any more, and those that are open come to their end."""
        return self._stopping

    async def open(self, options: LiveOptions, client: LiveClient, request_id: str) -> LiveSession:
        """A new session, which counts until its `aclose`. client: whose limits it counts against.

        At a limit of sessions, one of the client's that was set aside gives way. Raises TooManyStreams when the client
        has too many, TooManyLiveMinutes when it has sent too much audio, ServiceUnavailable when the process has too
        many sessions, or the model is too slow for one more.
        """
        try:
            self._check_pace()
            await self._make_room(client)
            self._check(client)
            return await self._admit(options, client, request_id)
        except TranscriptionError as error:
            metrics.LIVE_REFUSED.labels(reason=error.code).inc()
            raise

    async def _admit(self, options: LiveOptions, client: LiveClient, request_id: str) -> LiveSession:
        """Take the place first: who gets none is charged nothing. Raises TooManyLiveMinutes."""
        allowance = Allowance(self._settings.max_duration, self._meter, client)
        session = LiveSession(
            self._runner,
            options,
            request_id,
            self._clock,
            self._pace,
            self._closed,
            self._settings.whisper_model_dir,
            allowance,
        )
        self._open[session.id] = session
        self._owners[session.id] = client.key
        metrics.LIVE_SESSIONS.inc()
        try:
            await allowance.begin()
        except BaseException:
            await session.aclose()
            raise
        return session

    def set_aside(self, session: LiveSession) -> None:
        """A session whose client is disconnected, and may come back. It counts on until it gives way, or is closed."""
        if session.id in self._open:
            self._set_aside[session.id] = session

    def take_up(self, session: LiveSession) -> None:
        """A session that was set aside, and has its client back."""
        self._set_aside.pop(session.id, None)

    def stop_soon(self) -> None:
        """Finish every session, for a graceful stop: utterances get their final text, and the events end.

        The reader of the events closes the connection at their end. Must be called in the event loop.
        """
        self._stopping = True
        for session in self._open.values():
            task = asyncio.create_task(session.finish(stopping=True))
            self._finishing.add(task)
            task.add_done_callback(self._finishing.discard)

    async def aclose(self) -> None:
        """As `stop_soon`, and wait at most CLOSE_SECONDS for the last texts. Then close every session."""
        self.stop_soon()
        sessions = list(self._open.values())
        await asyncio.gather(*self._finishing)
        if sessions:
            await asyncio.wait([asyncio.create_task(each.done()) for each in sessions], timeout=CLOSE_SECONDS)
        await asyncio.gather(*(session.aclose() for session in sessions))

    def _closed(self, session: LiveSession) -> None:
        if self._open.pop(session.id, None) is None:
            return
        del self._owners[session.id]
        self._set_aside.pop(session.id, None)
        metrics.LIVE_SESSIONS.dec()

    async def _make_room(self, client: LiveClient) -> None:
        """At a limit, end the session of the client that has been set aside for longest.

        A page that is loaded again leaves such a session behind. Those of other clients stay.
        """
        theirs = self._sessions_of(client)
        full = theirs >= self._settings.max_client_live_sessions or len(self._open) >= self._settings.max_live_sessions
        if self._stopping or not full:
            return
        waiting = (each for each in self._set_aside.values() if client.key and self._owners[each.id] == client.key)
        if session := next(waiting, None):
            self.take_up(session)  # gives way to one session, not to two that are opened at the same time
            await session.aclose(
                TooManyStreams("The session was ended: its client was disconnected, and needed another session.")
            )

    def _sessions_of(self, client: LiveClient) -> int:
        return sum(owner == client.key for owner in self._owners.values()) if client.key else 0

    def _check(self, client: LiveClient) -> None:
        if self._stopping:
            raise ServiceUnavailable("The service is stopping. Try again in a moment.")
        theirs = self._sessions_of(client)
        if theirs >= self._settings.max_client_live_sessions:
            raise TooManyStreams(
                f"You have {theirs} live sessions open, the maximum. Close one.",
                retry_after=RETRY_SECONDS,
            )
        if len(self._open) >= self._settings.max_live_sessions:
            raise ServiceUnavailable(
                f"{len(self._open)} live sessions are open, the maximum. Try again later, or have MAX_LIVE_SESSIONS "
                "raised.",
                retry_after=RETRY_SECONDS,
            )

    def _check_pace(self) -> None:
        if self._open and not self._pace.has_room(self._clock()):
            raise ServiceUnavailable(
                "The model is too busy for another live session: the text of those that are open comes "
                f"{self._pace.latency(self._clock()):.1f} s after each decode. Try again later.",
                retry_after=RETRY_SECONDS,
            )
