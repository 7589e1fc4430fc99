"""A session of WS /live apart from its connection, which may drop and come back."""

from __future__ import annotations

import asyncio
import secrets
from collections import deque
from contextlib import AsyncExitStack

import numpy as np
import structlog

from formats.registry import ResponseFormat, render
from transcription.api.errors import public_message
from transcription.api.live.messages import (
    DEMUXERS,
    Document,
    Start,
    encode,
    error_document,
    event_document,
    with_words,
)
from transcription.core.errors import InvalidParameter, TranscriptionError
from transcription.core.settings import Settings
from transcription.live.events import Final
from transcription.live.session import LiveSession
from transcription.live.transcript import transcript_of
from transcription.media.piped import PipedDecoder, piped_decoder
from transcription.media.resample import Resampler

KEPT_EVENTS = 1000  # for a client that comes back; older ones are lost

log = structlog.get_logger(__name__)


class Conversation:
    """One session: its audio, its events so far, and its transcript. id, token: for `resume`.

    start: its options as the client sent them. finished: nothing more happens in it.
    """

    def __init__(self, session: LiveSession, start: Start, settings: Settings) -> None:
        self.id = session.id
        self.token = secrets.token_urlsafe(24)
        self.session = session
        self.start = start
        self.finished = False
        self.received = 0  # bytes of audio
        self._settings = settings
        self._resampler = Resampler(start.sample_rate)
        self._finals: list[Final] = []
        self._events: deque[tuple[int, str]] = deque(maxlen=KEPT_EVENTS)
        self._number = 0
        self._changed = asyncio.Event()
        self._replaced = asyncio.Event()
        self._decoder: PipedDecoder | None = None
        self._stack = AsyncExitStack()
        self._decoding: asyncio.Task[None] | None = None
        self._listening: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Begin. Raises ServiceUnavailable if the decoder cannot be started."""
        demuxer = DEMUXERS[self.start.encoding]
        if demuxer:
            self._decoder = await self._stack.enter_async_context(piped_decoder(demuxer, self._settings))
            self._decoding = asyncio.create_task(self._decode(self._decoder))
        self._listening = asyncio.create_task(self._listen())

    async def audio(self, data: bytes) -> None:
        """Take a binary frame. Waits while the session has enough to do. All of it is taken, even if cancelled.

        Raises InvalidParameter.
        """
        if self.finished:
            return
        if not self._decoder and len(data) % 2:
            raise InvalidParameter(
                f"A frame of {len(data)} bytes does not consist of samples of 16 bits; it was ignored. Send whole "
                "samples."
            )
        self.received += len(data)
        if self._decoder:
            await self._decoder.write(data)
        else:
            samples = np.frombuffer(data, "<i2").astype(np.int16, copy=False)
            await asyncio.shield(self.session.feed(self._resampler.convert(samples)))

    def attach(self) -> asyncio.Event:
        """Take a new connection. Returns an event that is set once a newer one has taken its place."""
        self._replaced.set()
        self._replaced = asyncio.Event()
        return self._replaced

    async def finish(self) -> None:
        """End the audio; the event `finished` follows the last text."""
        if self._decoder:
            await self._decoder.end()  # the session is finished once all is decoded
        else:
            await self.session.finish()

    def add(self, document: Document) -> None:
        """Add an event for the client."""
        self._number += 1
        self._events.append((self._number, encode({**document, "n": self._number})))
        self._changed.set()

    async def after(self, number: int) -> list[tuple[int, str]]:
        """The events after one, at least one; waits for it. Empty once there will be no more."""
        while True:
            if found := [event for event in self._events if event[0] > number]:
                return found
            if self.finished:
                return []
            self._changed.clear()
            await self._changed.wait()

    def transcript(self, response_format: ResponseFormat) -> Document:
        """The text of all utterances that are complete."""
        transcript = transcript_of(self._finals, self.session.options, self.session.seconds)
        rendered = render(transcript, response_format)
        return {
            "type": "transcript",
            "format": str(response_format),
            "content_type": rendered.content_type,
            "content": rendered.body,
        }

    async def aclose(self) -> None:
        """Free everything. May be called again."""
        self.finished = True
        self._changed.set()
        await self.session.aclose()  # ends its events
        if self._listening:
            await asyncio.gather(self._listening, return_exceptions=True)

    async def _free(self) -> None:
        """Give back the place and the decoder. A client may stay for the transcript."""
        await self.session.aclose()
        if self._decoding:
            self._decoding.cancel()
            await asyncio.gather(self._decoding, return_exceptions=True)
        await self._stack.aclose()

    def _finish(self) -> None:
        self.add({"type": "finished", "duration": round(self.session.seconds, 2)})

    async def _listen(self) -> None:
        make = with_words if self.start.words else event_document
        try:
            async for event in self.session.events():
                if isinstance(event, Final):
                    self._finals.append(event)
                self.add(make(event))
            self._finish()
        except TranscriptionError as limit:
            self.add(error_document(limit))
            self._finish()
        except Exception:
            log.exception("live_session_failed")
            error = TranscriptionError("Something went wrong in the session. Start another one.")
            self.add(error_document(error, public_message(error)))
        finally:
            self.finished = True
            self._changed.set()
            await self._free()

    async def _decode(self, decoder: PipedDecoder) -> None:
        try:
            async for block in decoder.pcm():
                await self.session.feed(block)
        except TranscriptionError as error:
            self.add(error_document(error))
        finally:
            await self.session.finish()
