"""The events of a session between its work and its reader."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator

from transcription.live.events import LiveEvent, Partial

MOST_EVENTS = 1000  # beyond which no more audio is taken


class Outbox:
    """Events for one reader. Partial events of one utterance that wait are merged: only the newest tentative text."""

    def __init__(self) -> None:
        self._waiting: deque[LiveEvent] = deque()
        self._changed = asyncio.Event()
        self._closed = False
        self._error: BaseException | None = None  # raised to the reader after the last event

    @property
    def full(self) -> bool:
        """Whether the reader is far behind."""
        return len(self._waiting) >= MOST_EVENTS

    def put(self, event: LiveEvent) -> None:
        """Add an event."""
        if self._closed:
            return
        last = self._waiting[-1] if self._waiting else None
        if isinstance(event, Partial) and isinstance(last, Partial) and last.utterance == event.utterance:
            self._waiting[-1] = merged(last, event)
        else:
            self._waiting.append(event)
        self._changed.set()

    def forget(self, utterance: int) -> None:
        """Drop the events of an utterance that the reader has not had."""
        self._waiting = deque(event for event in self._waiting if event.utterance != utterance)

    def end_with(self, error: BaseException) -> None:
        """Raise an error to the reader after the last event, whose time is yet to come."""
        self._error = self._error or error

    def close(self, error: BaseException | None = None) -> None:
        """No more events. error: raised to the reader after those that wait."""
        if not self._closed:
            self._closed, self._error = True, error or self._error
            self._changed.set()

    async def events(self) -> AsyncIterator[LiveEvent]:
        """The events, until the end."""
        while True:
            while self._waiting:
                yield self._waiting.popleft()
            if self._closed:
                if self._error:
                    raise self._error
                return
            self._changed.clear()
            await self._changed.wait()


def merged(first: Partial, second: Partial) -> Partial:
    """Two successive events of one utterance as one."""
    return Partial(
        second.utterance,
        first.confirmed + second.confirmed,
        second.tentative,
        first.start if first.confirmed else second.start,
        second.end,
        first.words + second.words,
        second.wants_words,
    )
