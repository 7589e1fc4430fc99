"""Server-sent events: their order, and what ends a stream early. Reader plays the part of the ASGI server."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Sequence
from typing import Any

import pytest

from transcription.api.openai import streaming
from transcription.api.openai.streaming import EventStream
from transcription.core.errors import ServiceUnavailable
from transcription.core.transcript import Segment, Transcript

NO_LIMIT = 60.0  # seconds


def said(text: str) -> Segment:
    return Segment(0.0, 1.0, text, (1,), -0.1, 1.0, 0.0, 0.0)


WHOLE = Transcript("en", 1.0, 2.0, (said(" one"), said(" two")), "demo")


class Reader:
    """stops_after: number of messages after which it stops reading. leaves_after: the same for disconnecting."""

    def __init__(self, stops_after: int | None = None, leaves_after: int | None = None) -> None:
        self.messages: list[dict[str, Any]] = []
        self._stops_after = stops_after
        self._leaves_after = leaves_after
        self._gone = asyncio.Event()

    async def receive(self) -> dict[str, Any]:
        await self._gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: dict[str, Any]) -> None:
        if self._stops_after is not None and len(self.messages) >= self._stops_after:
            await asyncio.sleep(NO_LIMIT)
        self.messages.append(message)
        if self._leaves_after is not None and len(self.messages) >= self._leaves_after:
            self._gone.set()

    @property
    def blocks(self) -> list[str]:
        return b"".join(message.get("body", b"") for message in self.messages).decode().split("\n\n")[:-1]

    @property
    def events(self) -> list[dict[str, Any]]:
        return [json.loads(block.removeprefix("data: ")) for block in self.blocks if block.startswith("data: {")]

    @property
    def complete(self) -> bool:
        return not self.messages[-1].get("more_body", True)


class Work:
    """The items of the pipeline: segments, then the transcript, or an error. pause: delay before each, seconds."""

    def __init__(self, *items: Sequence[Segment] | Transcript | Exception, pause: float = 0.0) -> None:
        self._items = items
        self._pause = pause
        self.ended = False

    async def run(self) -> AsyncGenerator[Sequence[Segment] | Transcript, None]:
        try:
            for item in self._items:
                await asyncio.sleep(self._pause)
                if isinstance(item, Exception):
                    raise item
                yield item
        finally:
            self.ended = True


def stream(work: Work, *, write_timeout: float = NO_LIMIT, time_limit: float = NO_LIMIT, **reader: int) -> Reader:
    async def scenario() -> Reader:
        async with asyncio.timeout(10):
            running = work.run()
            first_item = await anext(running)
            client = Reader(**reader)
            response = EventStream(
                first_item, running, logprobs=False, write_timeout=write_timeout, time_limit=time_limit
            )
            await response({"type": "http"}, client.receive, client.send)
            return client

    return asyncio.run(scenario())


def test_deltas_come_in_order_then_the_whole_text_then_the_end_marker() -> None:
    reader = stream(Work([said(" one")], [], [said(" two")], WHOLE))
    assert reader.events == [
        {"type": "transcript.text.delta", "delta": "one"},
        {"type": "transcript.text.delta", "delta": " two"},
        {"type": "transcript.text.done", "text": "one two", "languages": [{"code": "en"}]},
    ]
    assert reader.blocks[-1] == "data: [DONE]"
    assert reader.complete


def test_a_failure_while_streaming_is_the_last_event() -> None:
    work = Work([said(" one")], ServiceUnavailable("The model is gone. Try again."))
    reader = stream(work)
    assert reader.events[-1]["error"]["message"] == "The model is gone. Try again."
    assert reader.events[-1]["error"]["type"] == "server_error"
    assert "data: [DONE]" not in reader.blocks
    assert work.ended


def test_a_stream_that_exceeds_its_time_limit_ends_with_an_error() -> None:
    reader = stream(Work([said(" one")], [said(" two")], pause=0.2), time_limit=0.1)
    assert "longer than 0.1 s" in reader.events[-1]["error"]["message"]


def test_a_disconnect_ends_the_work() -> None:
    work = Work([said(" one")], *([said(" more")] for _ in range(100)), pause=0.01)
    reader = stream(work, leaves_after=3)
    assert work.ended
    assert len(reader.messages) < 10


def test_a_client_that_stops_reading_ends_the_work_and_the_response_stays_incomplete() -> None:
    work = Work([said(" one")], [said(" two")], WHOLE)
    reader = stream(work, stops_after=2, write_timeout=0.1)
    assert work.ended
    assert not reader.complete


def test_a_comment_is_sent_while_no_event_is_ready(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streaming, "KEEP_ALIVE_SECONDS", 0.02)
    reader = stream(Work([said(" one")], WHOLE, pause=0.1))
    assert ": still working" in reader.blocks
    assert reader.events[-1]["text"] == "one two"
