"""Sends windows to the runner, each in its language, and returns their results in file order."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine, Iterable, Sequence
from contextlib import aclosing
from dataclasses import replace
from typing import Any

from runners.client.interface import Runner
from transcription.core.audio import Window
from transcription.core.languages import DOUBTFUL
from transcription.core.options import DecodeOptions, EncoderContext, Ticket, TranscriptionRequest
from transcription.core.settings import Settings
from transcription.core.transcript import PlacedResult, WindowResult
from transcription.pipeline.language_changes import beginning, parts_between_pauses, parts_in_one_language
from transcription.pipeline.request_key import computed_by, still_valid
from transcription.pipeline.reusable import ReusableResults

# Also of the parts of divided windows. Enough to fill a large GPU batch; at most 15 MB of samples per request.
WINDOWS_IN_FLIGHT = 16


class WindowDecoder:
    """Decodes the windows of one file.

    ticket: called for each window as it is sent, because the priority may change during the run.
    """

    def __init__(
        self, runner: Runner, settings: Settings, request: TranscriptionRequest, ticket: Callable[[], Ticket]
    ) -> None:
        self._runner = runner
        self._settings = settings
        self._request = request
        self._ticket = ticket
        self._places = asyncio.Semaphore(WINDOWS_IN_FLIGHT)

    async def results(
        self, windows: AsyncGenerator[Window, None], known: Sequence[PlacedResult]
    ) -> AsyncGenerator[PlacedResult, None]:
        """Results in file order, with up to WINDOWS_IN_FLIGHT windows in the runner.

        known: results of an earlier, interrupted run of the same file and request, from the first window on.
        """
        options = self._request.decoded_with
        engine = await asyncio.to_thread(computed_by, options.model, self._settings)
        reusable = ReusableResults(still_valid(known, engine))
        waiting: deque[asyncio.Task[list[PlacedResult]]] = deque()
        guess: asyncio.Task[WindowResult] | None = None
        try:
            ahead = Lookahead(windows)
            async with aclosing(windows):
                async for window in ahead:
                    # The first window with a sound determines the language of the rest.
                    first = not options.language and not self._request.multilingual
                    placed = reusable.results_of(window)
                    if not placed:
                        waiting.append(asyncio.create_task(self._placed(window, options, guess, engine)))
                        guess = None
                        if not first and len(waiting) < WINDOWS_IN_FLIGHT:
                            continue
                        if first and (following := await ahead.peek()):
                            guess = asyncio.create_task(self._transcribe(following, options))
                        placed = await _first(waiting)
                        if first and guess:
                            placed = [await self._confirmed(placed[0], window, guess, options)]
                    if first and placed[0].result.language_probability:  # none in digital silence
                        options = replace(options, language=placed[0].result.language, language_detected=True)
                    for item in placed:
                        yield item
            while waiting:
                for item in await _first(waiting):
                    yield item
        finally:
            tasks = [*waiting, *([guess] if guess else [])]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _placed(
        self, window: Window, options: DecodeOptions, guess: asyncio.Task[WindowResult] | None, engine: str
    ) -> list[PlacedResult]:
        """The results of a window: one, or if multilingual one for each part of it that is in one language."""
        parts = [window]
        if self._request.multilingual and options.encoder_context is not EncoderContext.FULL:
            parts = await self._parts_in_one_language(window, options)
        if len(parts) == 1:
            results = [await self._decoded(window, options, guess)]
        else:
            results = await _together(self._transcribe(part, options) for part in parts)
        return [
            PlacedResult(part.timeline, result, part.speech, engine, part.voice)
            for part, result in zip(parts, results, strict=True)
        ]

    async def _parts_in_one_language(self, window: Window, options: DecodeOptions) -> list[Window]:
        parts = parts_between_pauses(window)
        if len(parts) == 1:
            return parts
        detecting = replace(options, only_language=True)
        heard = await _together(self._transcribe(beginning(part), detecting) for part in parts)
        return parts_in_one_language(window, parts, heard)

    async def _decoded(
        self, window: Window, options: DecodeOptions, guess: asyncio.Task[WindowResult] | None
    ) -> WindowResult:
        """A window in the language of the options. guess: its result, in the language that it seems to be in."""
        if guess:
            guessed = await guess
            if guessed.language == options.language:
                return replace(guessed, language_probability=1.0)  # as if the language had been named
        return await self._transcribe(window, options)

    async def _confirmed(
        self, placed: PlacedResult, window: Window, guess: asyncio.Task[WindowResult], options: DecodeOptions
    ) -> PlacedResult:
        """The result of the first window, decoded again if the language of the second is another and less doubtful.

        guess: the result of the second window, in the language that it seems to be in.
        """
        first = placed.result
        if first.language_probability >= DOUBTFUL:
            return placed
        second = await guess
        if second.language == first.language or second.language_probability <= first.language_probability:
            return placed
        again = await self._transcribe(window, replace(options, language=second.language, language_detected=True))
        return replace(placed, result=replace(again, language_probability=second.language_probability))

    async def _transcribe(self, window: Window, options: DecodeOptions) -> WindowResult:
        async with self._places:
            return await self._runner.transcribe(window, options, self._ticket())


class Lookahead:
    """Windows in file order, of which the next one can be looked at before it is taken."""

    def __init__(self, windows: AsyncIterator[Window]) -> None:
        self._windows = windows
        self._next: Window | None = None

    async def peek(self) -> Window | None:
        """The next window, which stays the next one; None at the end."""
        self._next = self._next or await anext(self._windows, None)
        return self._next

    def __aiter__(self) -> AsyncIterator[Window]:
        return self

    async def __anext__(self) -> Window:
        window = await self.peek()
        if window is None:
            raise StopAsyncIteration
        self._next = None
        return window


async def _first(waiting: deque[asyncio.Task[list[PlacedResult]]]) -> list[PlacedResult]:
    placed = await waiting[0]
    waiting.popleft()
    return placed


async def _together(work: Iterable[Coroutine[Any, Any, WindowResult]]) -> list[WindowResult]:
    """The results in order. If one fails, the others are cancelled."""
    tasks = [asyncio.create_task(each) for each in work]
    try:
        return [await task for task in tasks]
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
