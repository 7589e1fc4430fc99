"""A transcript as OpenAI's server-sent events, sent while its windows are decoded."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Any

import structlog
from fastapi.sse import EventSourceResponse, format_sse_event
from starlette.requests import ClientDisconnect
from starlette.types import Message, Receive, Scope, Send

from formats.openai import logprob
from transcription.api.answer import timed_out
from transcription.api.errors import error_body, kind_of
from transcription.api.openai.errors import document_of, status_of
from transcription.core.cancellation import cancel_on_disconnect
from transcription.core.errors import TranscriptionError
from transcription.core.transcript import Segment, Transcript

DELTA, DONE = "transcript.text.delta", "transcript.text.done"
END = format_sse_event(data_str="[DONE]")
KEEP_ALIVE = format_sse_event(comment="still working")
KEEP_ALIVE_SECONDS = 15.0  # without an event, after which proxies might take the connection for dead
HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}

Item = Sequence[Segment] | Transcript
Work = AsyncGenerator[Item, None]
Event = dict[str, Any]

log = structlog.get_logger(__name__)


class EventStream(EventSourceResponse):
    """Sends the items of `work` as events. The work ends when the client disconnects or stops reading.

    begun: the first item of `work`, which the caller has taken already. patience: longest time for one write, seconds.
    limit: longest time for the whole stream, seconds.
    """

    def __init__(self, begun: Item, work: Work, *, logprobs: bool, patience: float, limit: float) -> None:
        self._work = work
        self._events = encode(begun, work, logprobs=logprobs, limit=limit)
        self._patience = patience
        super().__init__(self._events, headers=HEADERS)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it."""

        async def send_in_time(message: Message) -> None:
            async with asyncio.timeout(self._patience):
                await send(message)

        try:
            # `stream_response` alone: Starlette's own watch for disconnects would interrupt the clean-up of the work.
            async with aclosing(self._work), aclosing(self._events):
                await cancel_on_disconnect(receive, self.stream_response(send_in_time))
        except ClientDisconnect:
            return
        except TimeoutError:
            log.info("reader_too_slow")  # an answer without its end makes the server close the connection


async def encode(begun: Item, work: Work, *, logprobs: bool, limit: float) -> AsyncGenerator[bytes, None]:
    """The stream's bytes: an event for each segment, one for the transcript, and the end or an error."""
    first = True
    try:
        async with aclosing(_items(begun, work, limit)) as items:
            async for item in items:
                if item is None:
                    yield KEEP_ALIVE
                elif isinstance(item, Transcript):
                    yield _encoded(done(item))
                else:
                    for segment in item:
                        yield _encoded(delta(segment, first=first, logprobs=logprobs))
                        first = False
    except TranscriptionError as error:
        yield _encoded(_failed(error))
    else:
        yield END


async def _items(begun: Item, work: Work, limit: float) -> AsyncGenerator[Item | None, None]:
    """The items of `work`, and None after each KEEP_ALIVE_SECONDS without one.

    Raises ServiceUnavailable once `limit` is over, and the errors of the work.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + limit
    yield begun
    coming = asyncio.ensure_future(anext(work, None))
    try:
        while (left := deadline - loop.time()) > 0:
            ready, _ = await asyncio.wait((coming,), timeout=min(KEEP_ALIVE_SECONDS, left))
            if not ready:
                yield None
                continue
            item = coming.result()
            if item is None:
                return
            coming = asyncio.ensure_future(anext(work, None))
            yield item
        raise timed_out(limit)
    finally:
        coming.cancel()
        await asyncio.gather(coming, return_exceptions=True)


def delta(segment: Segment, *, first: bool, logprobs: bool) -> Event:
    """A segment as an event. first: of the stream, whose text begins without a space."""
    event: Event = {"type": DELTA, "delta": segment.text.lstrip() if first else segment.text}
    if logprobs:
        event["logprobs"] = [logprob(word) for word in segment.words]
    return event


def done(transcript: Transcript) -> Event:
    """The last event: the whole text. Without the optional `usage`: it counts tokens, which are not counted here."""
    return {"type": DONE, "text": transcript.text}


def _failed(error: TranscriptionError) -> Event:
    kind = kind_of(error)
    body = error_body(kind, error.message, error.detail).model_dump()
    return document_of(body, status_of(kind.status, kind.error))


def _encoded(event: Event) -> bytes:
    return format_sse_event(data_str=json.dumps(event, ensure_ascii=False))
