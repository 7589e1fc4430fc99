"""A transcript as OpenAI's server-sent events, while its windows are decoded."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Any

import structlog
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from formats.openai import logprob
from transcription.api.errors import error_body, kind_of
from transcription.api.openai.errors import document_of, status_of
from transcription.api.routes.transcription import too_long
from transcription.core.errors import TranscriptionError
from transcription.core.transcript import Segment, Transcript

DELTA, DONE = "transcript.text.delta", "transcript.text.done"
END = b"data: [DONE]\n\n"
STILL_WORKING = b": still working\n\n"
QUIET_SECONDS = 15.0  # after which a comment keeps proxies from taking the connection for dead

Work = AsyncGenerator[Sequence[Segment] | Transcript, None]
Event = dict[str, Any]

log = structlog.get_logger(__name__)


def delta(segment: Segment, *, first: bool, logprobs: bool) -> Event:
    """A segment as an event. first: of the stream, whose text begins without a space."""
    event: Event = {"type": DELTA, "delta": segment.text.lstrip() if first else segment.text}
    if logprobs:
        event["logprobs"] = [logprob(word) for word in segment.words]
    return event


def done(transcript: Transcript) -> Event:
    """The last event: the whole text. Its usage would be in tokens, which nobody counts here, and may be left out."""
    return {"type": DONE, "text": transcript.text}


class EventStream(Response):
    """Sends the events of `work` as they come. A reader who leaves, or reads nothing for `patience`, ends the work.

    begun: what `work` gave already. patience: seconds that one write may take. limit: seconds that the whole may take.
    """

    media_type = "text/event-stream"

    def __init__(
        self, begun: Sequence[Segment] | Transcript, work: Work, *, logprobs: bool, patience: float, limit: float
    ) -> None:
        super().__init__(headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})
        del self.headers["content-length"]
        self._begun = begun
        self._work = work
        self._logprobs = logprobs
        self._patience = patience
        self._limit = limit
        self._first = True

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it."""
        sending = asyncio.create_task(self._send_all(send))
        leaving = asyncio.create_task(_left(receive))
        try:
            await asyncio.wait((sending, leaving), return_when=asyncio.FIRST_COMPLETED)
            if sending.done():
                sending.result()
        except TimeoutError:
            log.info("reader_too_slow")  # the connection is closed, because the answer has no end
        finally:
            for task in (sending, leaving):
                task.cancel()
            await asyncio.gather(sending, leaving, return_exceptions=True)

    async def _send_all(self, send: Send) -> None:
        await self._write(
            send, {"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers}
        )
        async with aclosing(self._work):
            limit = asyncio.timeout(self._limit)
            try:
                async with limit:
                    await self._send_events(send)
            except TranscriptionError as error:
                await self._send_error(send, error)
            except TimeoutError:
                if not limit.expired():
                    raise
                await self._send_error(send, too_long(self._limit))
            else:
                await self._send_bytes(send, END)
        await self._write(send, {"type": "http.response.body", "body": b"", "more_body": False})

    async def _send_events(self, send: Send) -> None:
        for event in self._events(self._begun):
            await self._send_event(send, event)
        coming = asyncio.ensure_future(anext(self._work, None))
        try:
            while True:
                ready, _ = await asyncio.wait((coming,), timeout=QUIET_SECONDS)
                if not ready:
                    await self._send_bytes(send, STILL_WORKING)
                    continue
                item = coming.result()
                if item is None:
                    return
                coming = asyncio.ensure_future(anext(self._work, None))
                for event in self._events(item):
                    await self._send_event(send, event)
        finally:
            coming.cancel()
            await asyncio.gather(coming, return_exceptions=True)

    def _events(self, item: Sequence[Segment] | Transcript) -> list[Event]:
        if isinstance(item, Transcript):
            return [done(item)]
        events = []
        for segment in item:
            events.append(delta(segment, first=self._first, logprobs=self._logprobs))
            self._first = False
        return events

    async def _send_error(self, send: Send, error: TranscriptionError) -> None:
        kind = kind_of(error)
        ours = error_body(kind, error.message, error.detail).model_dump()
        await self._send_event(send, document_of(ours, status_of(kind.status, kind.error)))

    async def _send_event(self, send: Send, event: Event) -> None:
        await self._send_bytes(send, f"data: {json.dumps(event, ensure_ascii=False)}\n\n".encode())

    async def _send_bytes(self, send: Send, body: bytes) -> None:
        await self._write(send, {"type": "http.response.body", "body": body, "more_body": True})

    async def _write(self, send: Send, message: dict[str, Any]) -> None:
        async with asyncio.timeout(self._patience):
            await send(message)


async def _left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
