"""OpenAI's server-sent events, sent while the windows of a recording are decoded."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from typing import Any

import structlog
from fastapi.sse import EventSourceResponse, format_sse_event
from starlette.requests import ClientDisconnect
from starlette.types import Message, Receive, Scope, Send

from formats.json import notices_of
from formats.openai import diarized_segment, languages, logprob
from transcription.api.answer import timed_out
from transcription.api.errors import error_body, kind_of
from transcription.api.openai.errors import document_of, status_of
from transcription.core.cancellation import cancel_on_disconnect
from transcription.core.errors import TranscriptionError
from transcription.core.transcript import Segment, Transcript

DELTA, DONE = "transcript.text.delta", "transcript.text.done"
END = format_sse_event(data_str="[DONE]")
KEEP_ALIVE = format_sse_event(comment="still working")
KEEP_ALIVE_SECONDS = 15.0  # without an event; proxies close connections that seem dead
HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}

Item = Sequence[Segment] | Transcript
Work = AsyncGenerator[Item, None]
Event = dict[str, Any]

log = structlog.get_logger(__name__)


class EventStream(EventSourceResponse):
    """Sends the items of `work` as events. The work is closed when the client disconnects or stops reading.

    first_item: the first item of `work`, already taken from it. write_timeout: maximum time for one write, seconds.
    time_limit: maximum time for the whole stream, seconds. headers: added to the common ones.
    speakers: send an event for each segment with its speaker at the end, because only then are all speakers known.
    """

    def __init__(
        self,
        first_item: Item,
        work: Work,
        *,
        logprobs: bool,
        speakers: bool = False,
        write_timeout: float,
        time_limit: float,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self._work = work
        self._events = encode(first_item, work, logprobs=logprobs, speakers=speakers, time_limit=time_limit)
        self._write_timeout = write_timeout
        super().__init__(self._events, headers={**HEADERS, **(headers or {})})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the response."""

        async def send_in_time(message: Message) -> None:
            async with asyncio.timeout(self._write_timeout):
                await send(message)

        try:
            # Only `stream_response`: Starlette's own handling of disconnects would interrupt the clean-up of the work.
            async with aclosing(self._work), aclosing(self._events):
                await cancel_on_disconnect(receive, self.stream_response(send_in_time))
        except ClientDisconnect:
            return
        except TimeoutError:
            log.info("reader_too_slow")  # without the end of the body, the server closes the connection


async def encode(
    first_item: Item, work: Work, *, logprobs: bool, speakers: bool = False, time_limit: float
) -> AsyncGenerator[bytes, None]:
    """The bytes of the stream: an event per segment, one for the transcript, then the end marker or an error."""
    first = True
    try:
        async with aclosing(_items(first_item, work, time_limit)) as items:
            async for item in items:
                if item is None:
                    yield KEEP_ALIVE
                elif isinstance(item, Transcript):
                    for number, segment in enumerate(item.segments if speakers else (), start=1):
                        yield _encoded(diarized_segment(number, segment))
                    yield _encoded(done(item))
                else:
                    for segment in item:
                        yield _encoded(delta(segment, first=first, logprobs=logprobs))
                        first = False
    except TranscriptionError as error:
        yield _encoded(_failed(error))
    else:
        yield END


async def _items(first_item: Item, work: Work, time_limit: float) -> AsyncGenerator[Item | None, None]:
    """The items of `work`, and None after every KEEP_ALIVE_SECONDS without one.

    Raises ServiceUnavailable when `time_limit` is exceeded, and the errors of the work.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + time_limit
    yield first_item
    next_item = asyncio.ensure_future(anext(work, None))
    try:
        while (left := deadline - loop.time()) > 0:
            ready, _ = await asyncio.wait((next_item,), timeout=min(KEEP_ALIVE_SECONDS, left))
            if not ready:
                yield None
                continue
            item = next_item.result()
            if item is None:
                return
            next_item = asyncio.ensure_future(anext(work, None))
            yield item
        raise timed_out(time_limit)
    finally:
        next_item.cancel()
        await asyncio.gather(next_item, return_exceptions=True)


def delta(segment: Segment, *, first: bool, logprobs: bool) -> Event:
    """The event of a segment. first: whether it is the first of the stream, whose text has no leading space."""
    event: Event = {"type": DELTA, "delta": segment.text.lstrip() if first else segment.text}
    if logprobs:
        event["logprobs"] = [logprob(word) for word in segment.words]
    return event


def done(transcript: Transcript) -> Event:
    """The last event: the whole text, and ours: `languages`, and `warnings` about the file, if any.

    The optional `usage` is left out, because tokens are not counted.
    """
    return {
        "type": DONE,
        "text": transcript.text,
        "languages": languages(transcript.language),
        **notices_of(transcript),
    }


def _failed(error: TranscriptionError) -> Event:
    kind = kind_of(error)
    body = error_body(kind, error.message, error.detail).model_dump()
    return document_of(body, status_of(kind.status, kind.code))


def _encoded(event: Event) -> bytes:
    return format_sse_event(data_str=json.dumps(event, ensure_ascii=False))
