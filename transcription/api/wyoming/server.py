"""The Wyoming server of a process, and its connections."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Iterable
from contextlib import suppress

import structlog

from transcription.api.middleware.client_address import client_of
from transcription.api.wyoming.framing import MAX_LINE_BYTES, BrokenStream, Event, encode, read_event
from transcription.api.wyoming.messages import (
    Transcribe,
    chunk,
    ended,
    failed,
    format_of,
    info,
    pong_to,
    started,
    transcribe_of,
)
from transcription.core.errors import InvalidParameter, TranscriptionError
from transcription.core.settings import Settings
from transcription.live.allowance import LiveClient
from transcription.live.events import Failed, Final, Partial
from transcription.live.pcm import PcmFormat, PcmStream
from transcription.live.session import LiveSession
from transcription.live.sessions import LiveSessions

TASK = "wyoming"
IDLE_SECONDS = 60.0  # without an event, after which a connection is closed
MOST_CONNECTIONS = 256  # of one process

log = structlog.get_logger(__name__)


class WyomingServer:
    """Listens on WYOMING_PORT. Wyoming has no keys: anyone who can reach the port may use it."""

    def __init__(self, settings: Settings, live: LiveSessions) -> None:
        self._settings = settings
        self._live = live
        self._connections: set[asyncio.Task[None]] = set()

    @property
    def connections(self) -> int:
        """Number of open connections."""
        return len(self._connections)

    async def run(self) -> None:
        """Serve until it is cancelled. With several API processes, each listens on the port, and the kernel chooses."""
        server = await asyncio.start_server(
            self._serve,
            self._settings.host,
            self._settings.wyoming_port,
            limit=MAX_LINE_BYTES,
            reuse_port=self._settings.workers > 1,
        )
        log.info("wyoming_listens", port=self._settings.wyoming_port)
        if self._settings.enable_api_key:
            log.warning("wyoming_has_no_keys", port=self._settings.wyoming_port)
        try:
            await asyncio.Event().wait()
        finally:
            server.close()
            for task in self._connections:
                task.cancel()
            await asyncio.gather(*self._connections, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if not task or len(self._connections) >= MOST_CONNECTIONS:
            writer.close()
            return
        connection = WyomingConnection(reader, writer, self._settings, self._live)
        self._connections.add(task)
        try:
            await connection.serve()
        except (ConnectionError, TimeoutError):
            pass  # the client is gone, silent, or does not read
        finally:
            try:
                await connection.aclose()
            finally:
                self._connections.discard(task)


class WyomingConnection:
    """One connection. A client transcribes one recording after the other over it."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, settings: Settings, live: LiveSessions
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._settings = settings
        self._sessions = live
        # There is no address if the client has already disconnected.
        address = client_of({"client": writer.get_extra_info("peername")}, ())
        self._client = LiveClient(address if settings.enable_rate_limit else "")
        self._asked = Transcribe()
        self._session: LiveSession | None = None
        self._format = PcmFormat()
        self._audio: PcmStream | None = None
        self._ignores_audio = False  # up to the next audio-start or audio-stop: an error has said why
        self._answering: asyncio.Task[None] | None = None
        self._sending = asyncio.Lock()

    async def serve(self) -> None:
        """Serve until the client leaves. Raises TimeoutError if it is silent or does not read, and ConnectionError."""
        while True:
            try:
                async with asyncio.timeout(IDLE_SECONDS):
                    event = await read_event(self._reader)
                if event is None:
                    return
                await self._do(event)
            except BrokenStream as error:
                await self._send([failed(error)])
                return
            except TranscriptionError as error:
                await self._send([failed(error)])

    async def aclose(self) -> None:
        """Free everything. A client that does not read what was sent has DOWNLOAD_TIMEOUT for it."""
        try:
            await self._end()
            self._writer.close()
            with suppress(ConnectionError, TimeoutError):
                async with asyncio.timeout(self._settings.download_timeout):
                    await self._writer.wait_closed()
        finally:
            self._writer.transport.abort()

    async def _do(self, event: Event) -> None:
        match event.type:
            case "describe":
                await self._send([await asyncio.to_thread(info, self._settings)])
            case "ping":
                await self._send([pong_to(event)])
            case "transcribe":
                self._asked = transcribe_of(event)
            case "audio-start":
                await self._start(event)
            case "audio-chunk":
                await self._take(event)
            case "audio-stop":
                await self._stop()
            # Others are for other services, and ignored, as the protocol has it.

    async def _start(self, event: Event) -> None:
        await self._end()
        self._ignores_audio = True  # unless it is begun
        self._format = format_of(event)
        self._audio = PcmStream(self._format)
        options = await asyncio.to_thread(self._asked.to_options, self._settings)  # looks for models on the disk
        self._session = await self._sessions.open(options, self._client, str(uuid.uuid4()))
        self._answering = asyncio.create_task(self._answer(self._session, options.decode.language))
        self._ignores_audio = False

    async def _take(self, event: Event) -> None:
        if self._ignores_audio:
            return
        if not (self._session and self._audio and self._answering):
            self._ignores_audio = True
            raise InvalidParameter("Audio needs an event audio-start before it.")
        if self._answering.done():
            await self._answering  # raises if the client does not read
        if (given := format_of(event, self._format)) != self._format:
            self._format, self._audio = given, PcmStream(given)
        await self._session.feed(self._audio.convert(event.payload))

    async def _stop(self) -> None:
        if self._ignores_audio:
            self._ignores_audio = False
            return
        if not (self._session and self._answering):
            raise InvalidParameter("audio-stop needs an event audio-start before it.")
        await self._session.finish()
        await self._answering
        await self._end()

    async def _end(self) -> None:
        session, answering = self._session, self._answering
        self._session = self._answering = self._audio = None
        if answering:
            answering.cancel()
            await asyncio.gather(answering, return_exceptions=True)
        if session:
            await session.aclose()

    async def _answer(self, session: LiveSession, language: str | None) -> None:
        """Send the text of one recording, which is one utterance."""
        text, limit = "", None
        await self._send([started(language)])
        try:
            async for event in session.events():
                match event:
                    case Partial() if event.confirmed:
                        await self._send([chunk(event.confirmed)])
                    case Final():
                        text, language = event.text, event.language
                    case Failed():
                        await self._send([failed(event.error)])
                        return
        except TranscriptionError as error:
            limit = error
        await self._send([*ended(text, language), *([failed(limit)] if limit else [])])

    async def _send(self, events: Iterable[Event]) -> None:
        async with self._sending, asyncio.timeout(self._settings.download_timeout):
            for event in events:
                self._writer.write(encode(event))
                await self._writer.drain()
