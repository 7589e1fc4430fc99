"""The sessions of WS /live in this process, those without a connection included."""

from __future__ import annotations

import asyncio
import secrets

from transcription.api.admission import memory_shortage
from transcription.api.live.conversation import Conversation
from transcription.api.live.messages import Resume, Start
from transcription.core.errors import ServiceUnavailable, UnknownSession
from transcription.core.settings import Settings
from transcription.live.allowance import LiveClient
from transcription.live.sessions import LiveSessions

RESUME_SECONDS = 30.0  # a session waits for its client
RETRY_SECONDS = 15.0


class Conversations:
    """Opens sessions, and keeps those whose connection has dropped for RESUME_SECONDS."""

    def __init__(self, sessions: LiveSessions, settings: Settings) -> None:
        self._sessions = sessions
        self._settings = settings
        self._held: dict[str, asyncio.TimerHandle] = {}
        self._all: dict[str, Conversation] = {}
        self._closing: set[asyncio.Task[None]] = set()

    @property
    def stopping(self) -> bool:
        """Whether the service stops: connections close once all has been sent."""
        return self._sessions.stopping

    async def open(self, start: Start, client: LiveClient, request_id: str) -> Conversation:
        """A new session. Raises as `LiveSessions.open` and `Start.to_options`."""
        if reason := memory_shortage(self._settings):
            raise ServiceUnavailable(reason, retry_after=RETRY_SECONDS)
        session = await self._sessions.open(start.to_options(self._settings), client, request_id)
        conversation = Conversation(session, start, self._settings)
        try:
            await conversation.open()
        except BaseException:
            await conversation.aclose()
            raise
        self._all[conversation.id] = conversation
        return conversation

    def resume(self, message: Resume) -> Conversation:
        """A session whose connection has dropped. Raises UnknownSession."""
        conversation = self._all.get(message.session)
        # Compared as bytes: tokens of other characters are no reason to fail.
        if conversation is None or not secrets.compare_digest(conversation.token.encode(), message.token.encode()):
            raise UnknownSession(
                f"There is no such session, or it was closed: sessions wait {RESUME_SECONDS:g} s for their client. "
                "Start another one."
            )
        if timer := self._held.pop(conversation.id, None):
            timer.cancel()
        self._sessions.take_up(conversation.session)
        return conversation

    def hold(self, conversation: Conversation) -> None:
        """Keep a session whose connection has dropped, unless its client needs the place for another one."""
        self._sessions.set_aside(conversation.session)
        loop = asyncio.get_running_loop()
        self._held[conversation.id] = loop.call_later(RESUME_SECONDS, self._expire, conversation)
        self._limit_finished()

    async def close(self, conversation: Conversation) -> None:
        """End a session for good."""
        self._forget(conversation)
        await conversation.aclose()

    async def aclose(self) -> None:
        """End every session."""
        await self._sessions.aclose()
        for conversation in list(self._all.values()):
            await self.close(conversation)

    def _limit_finished(self) -> None:
        """Of the sessions that are finished and wait to be read, keep as many as may run, the latest.

        They are not among those that run, whose number is limited when they are opened.
        """
        finished = [each for name in self._held if (each := self._all[name]).finished]
        for conversation in finished[: max(0, len(finished) - self._settings.max_live_sessions)]:
            self._expire(conversation)

    def _forget(self, conversation: Conversation) -> None:
        self._all.pop(conversation.id, None)
        if timer := self._held.pop(conversation.id, None):
            timer.cancel()

    def _expire(self, conversation: Conversation) -> None:
        self._forget(conversation)
        task = asyncio.create_task(conversation.aclose())
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)
