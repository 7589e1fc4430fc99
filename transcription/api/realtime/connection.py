"""One WebSocket of a Realtime session: receives and sends. What follows from what is decided in `conversation.py`."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Sequence
from contextlib import suppress

from starlette.websockets import WebSocketDisconnect

from transcription.api.client_socket import GOING_AWAY, NORMAL, ClientSocket, Silent, until_one_ends
from transcription.api.realtime import server_events
from transcription.api.realtime.client_events import (
    Append,
    BetaSessionUpdate,
    Clear,
    ClientEvent,
    Commit,
    EventError,
    SessionUpdate,
    parse,
)
from transcription.api.realtime.conversation import Conversation
from transcription.api.realtime.server_events import Document
from transcription.api.realtime.session_config import SessionConfig
from transcription.api.realtime.session_document import beta_document, session_document
from transcription.core.errors import InvalidParameter, TranscriptionError
from transcription.core.settings import Settings
from transcription.live.pcm import PcmStream, Samples
from transcription.live.session import LiveSession

ID_BYTES = 12
IDLE_SECONDS = 300.0  # the protocol has no keep-alive of its own, and a microphone may be muted for minutes


def new_id(prefix: str) -> str:
    """A random id, such as item_0a1b2c."""
    return f"{prefix}_{secrets.token_hex(ID_BYTES)}"


class RealtimeConnection:
    """Serves one session. is_beta: whether the client speaks the beta's dialect at first."""

    def __init__(
        self, socket: ClientSocket, live: LiveSession, config: SessionConfig, settings: Settings, *, is_beta: bool
    ) -> None:
        self._socket = socket
        self._live = live
        self._config = config
        self._settings = settings
        self._audio = PcmStream(config.pcm)
        self._conversation = Conversation(new_id)
        self._conversation.is_beta = is_beta
        self._id = new_id("sess")

    async def serve(self) -> None:
        """Serve until the client leaves, is silent for too long, or the session ends. The caller closes `live`."""
        with suppress(WebSocketDisconnect):
            await until_one_ends(self._receive_all(), self._send_all())

    async def _receive_all(self) -> None:
        kind = "transcription_session" if self._conversation.is_beta else "session"
        await self._show_session(f"{kind}.created")
        try:
            while True:
                await self._answer(await self._socket.receive())
        except Silent as end:
            await self._socket.close(NORMAL, str(end))

    async def _answer(self, frame: str | bytes) -> None:
        """Do what one frame says. Whatever is wrong with it is an `error` event."""
        event_id = None
        try:
            if isinstance(frame, bytes):
                raise EventError("The frame is binary. Send events as JSON in text frames.", "invalid_json")
            event = parse(frame, is_beta=self._conversation.is_beta)
            event_id = event.event_id
            await self._do(event)
        except (EventError, TranscriptionError) as error:
            await self._send([server_events.refused(error, event_id)])

    async def _do(self, event: ClientEvent) -> None:
        match event:
            case Append():
                await self._live.feed(self._converted(event))
            case Commit():
                await self._send(self._conversation.commit(await self._live.commit(), event.event_id))
            case Clear():
                await self._live.clear()
                await self._send(self._conversation.clear())
            case SessionUpdate():
                await self._update(self._config.updated(event.session), event.type, is_beta=False)
            case BetaSessionUpdate():
                await self._update(self._config.updated_by_beta(event.session), event.type, is_beta=True)

    def _converted(self, event: Append) -> Samples:
        try:
            return self._audio.convert(event.decoded())
        except InvalidParameter as error:
            raise EventError(error.message, "invalid_value", "audio", event.event_id) from None

    async def _update(self, config: SessionConfig, kind: str, *, is_beta: bool) -> None:
        options = await asyncio.to_thread(config.to_options, self._settings)  # looks for models on the disk
        if config.pcm != self._config.pcm:
            self._audio = PcmStream(config.pcm)
        self._config = config
        self._conversation.is_beta = is_beta
        self._live.update(options)
        await self._show_session(f"{kind}d")

    async def _send_all(self) -> None:
        try:
            async for event in self._live.events():
                await self._send(self._conversation.hear(event))
        except TranscriptionError as limit:
            await self._send([server_events.refused(limit)])
        await self._socket.close(GOING_AWAY, "The session has ended.")

    async def _show_session(self, kind: str) -> None:
        show = beta_document if self._conversation.is_beta else session_document
        await self._send([server_events.session_event(kind, show(self._config, self._id))])

    async def _send(self, events: Sequence[Document]) -> None:
        await self._socket.send([{"event_id": new_id("event"), **event} for event in events])
