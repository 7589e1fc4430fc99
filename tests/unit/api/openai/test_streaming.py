"""A transcript as events: their order, and what ends a stream early. The reader is an ASGI server's two functions."""

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

FOREVER = 60.0  # seconds


def said(text: str) -> Segment:
    return Segment(0.0, 1.0, text, (1,), -0.1, 1.0, 0.0, 0.0)


WHOLE = Transcript("en", 1.0, 2.0, (said(" one"), said(" two")), "demo")


class Reader:
    """stops_after: messages after which it takes no more. leaves_after: messages after which it goes away."""

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
            await asyncio.sleep(FOREVER)
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
    """What the engine gives: segments, then the transcript, or an error. pause: seconds before each."""

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


def stream(work: Work, *, patience: float = FOREVER, limit: float = FOREVER, **reader: int) -> Reader:
    async def scenario() -> Reader:
        async with asyncio.timeout(10):
            running = work.run()
            begun = await anext(running)
            recipient = Reader(**reader)
            response = EventStream(begun, running, logprobs=False, patience=patience, limit=limit)
            await response({"type": "http"}, recipient.receive, recipient.send)
            return recipient

    return asyncio.run(scenario())


def test_pieces_come_in_order_then_the_whole_then_the_end() -> None:
    reader = stream(Work([said(" one")], [], [said(" two")], WHOLE))
    assert reader.events == [
        {"type": "transcript.text.delta", "delta": "one"},
        {"type": "transcript.text.delta", "delta": " two"},
        {"type": "transcript.text.done", "text": "one two"},
    ]
    assert reader.blocks[-1] == "data: [DONE]"
    assert reader.complete


def test_a_failure_on_the_way_is_the_last_event() -> None:
    work = Work([said(" one")], ServiceUnavailable("The model is gone. Try again."))
    reader = stream(work)
    assert reader.events[-1]["error"]["message"] == "The model is gone. Try again."
    assert reader.events[-1]["error"]["type"] == "server_error"
    assert "data: [DONE]" not in reader.blocks
    assert work.ended


def test_a_stream_that_takes_too_long_says_so() -> None:
    reader = stream(Work([said(" one")], [said(" two")], pause=0.2), limit=0.1)
    assert "longer than 0.1 s" in reader.events[-1]["error"]["message"]


def test_who_leaves_ends_the_work() -> None:
    work = Work([said(" one")], *([said(" more")] for _ in range(100)), pause=0.01)
    reader = stream(work, leaves_after=3)
    assert work.ended
    assert len(reader.messages) < 10


def test_who_does_not_read_ends_the_work_and_gets_no_end() -> None:
    work = Work([said(" one")], [said(" two")], WHOLE)
    reader = stream(work, stops_after=2, patience=0.1)
    assert work.ended
    assert not reader.complete


def test_while_nothing_is_ready_a_comment_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streaming, "KEEP_ALIVE_SECONDS", 0.02)
    reader = stream(Work([said(" one")], WHOLE, pause=0.1))
    assert ": still working" in reader.blocks
    assert reader.events[-1]["text"] == "one two"
