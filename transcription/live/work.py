"""The work of a session: ticks while someone speaks, and the last decode of each utterance, in order."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, replace

import structlog

from transcription.core.audio import SAMPLE_RATE
from transcription.core.errors import ServiceUnavailable, TranscriptionError
from transcription.live.audio import AudioBuffer
from transcription.live.decoding import Hypothesis, Piece
from transcription.live.drafts import Drafts, Tools, learn_language
from transcription.live.events import Failed, Final
from transcription.live.utterance import Utterance
from transcription.telemetry import metrics

LOOK_SECONDS = 0.1  # between two looks at the utterance that is being spoken
STOP_SECONDS = 10.0  # for the last decodes when the service stops; then the tentative text is the last one

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, eq=False)
class Ended:
    """An utterance that has ended, with what is left of its audio. end: its last sample, exclusive.

    label: adds the speakers to its final text; None if they are not wanted. early: its last decode, if it was begun in
    the pause; without a result if that failed.
    """

    utterance: Utterance
    piece: Piece
    end: int
    label: Callable[[Final], Awaitable[Final]] | None = None
    early: asyncio.Task[Hypothesis | None] | None = None


class Work:
    """Decodes for one session and puts the events into its outbox. `run` does all of it, until `finish`."""

    def __init__(self, tools: Tools) -> None:
        self._tools = tools
        self._drafts = Drafts(tools, self.wake)
        self._ended: deque[Ended] = deque()
        self._awake = asyncio.Event()
        self._more = asyncio.Event()  # utterances have ended, or no more will
        self._progressed = asyncio.Event()
        self._finishing = False
        self._stop_at: float | None = None  # by the clock of the event loop
        self._last_decode: asyncio.Timeout | None = None  # of the one that is running
        self._label_failed = False

    @property
    def waiting(self) -> int:
        """Number of utterances that wait for their last decode."""
        return len(self._ended)

    def wake(self) -> None:
        """Look at once whether there is something to do."""
        self._awake.set()
        self._progressed.set()

    async def progress(self) -> None:
        """Wait until something has been done."""
        self._progressed.clear()
        await self._progressed.wait()

    def follow(
        self,
        utterance: Utterance | None,
        audio: AudioBuffer | None = None,
        voice_end: int = 0,
        likely_end: int | None = None,
    ) -> None:
        """The utterance that is being spoken, with its audio so far; None if there is none. See `Listening`."""
        self._drafts.follow(utterance, audio, voice_end, likely_end)
        self._awake.set()

    def add(self, ended: Ended) -> None:
        """An utterance that has ended."""
        self._ended.append(replace(ended, early=self._drafts.take_early(ended.piece)))
        self._more.set()

    def finish(self, *, stopping: bool) -> None:
        """End `run` once everything is done. stopping: see `Tools`; it is done within STOP_SECONDS then."""
        if stopping and not self._tools.stopping:
            self._tools.stopping = True
            self._stop_at = asyncio.get_running_loop().time() + STOP_SECONDS
            if self._last_decode:
                self._last_decode.reschedule(self._stop_at)
        self._finishing = True
        self._more.set()
        self.wake()

    async def run(self) -> None:
        """Work until `finish`."""
        try:
            async with asyncio.TaskGroup() as group:
                last = group.create_task(self._finish_in_order())
                while not last.done():
                    self._drafts.tick_if_due()
                    await self._rest()
        finally:
            self._drafts.cancel()

    async def _finish_in_order(self) -> None:
        """The last decodes, one after the other, beside the ticks of the utterance after them."""
        while self._ended or not self._finishing:
            if self._ended:
                await self._finish(self._ended[0])
                self._ended.popleft()
                self.wake()
            else:
                self._more.clear()
                await self._more.wait()
        self.wake()

    async def _rest(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(LOOK_SECONDS if self._drafts.active or self._finishing else None):
                await self._awake.wait()
        self._awake.clear()

    async def _decoded_in_time(self, ended: Ended) -> Hypothesis:
        """The last decode. Raises the errors of the runner, and ServiceUnavailable when a stop leaves it no time."""
        try:
            async with asyncio.timeout_at(self._stop_at) as self._last_decode:
                return await self._decoded(ended)
        except TimeoutError:
            raise ServiceUnavailable("The service is stopping, and the model is too busy for the last text.") from None
        finally:
            self._last_decode = None

    async def _decoded(self, ended: Ended) -> Hypothesis:
        tools, options = self._tools, ended.utterance.options
        heard = await ended.early if ended.early else None
        language = ended.utterance.lock.language
        if heard and language and heard.language != language:
            heard = None
        if ended.early:
            metrics.LIVE_EARLY_DECODES.labels(outcome="used" if heard else "redone").inc()
        if not heard:
            started = tools.clock()
            heard = await tools.decoder.thoroughly(ended.piece, options, language, lambda: tools.stopping)
            ended.utterance.decoding += tools.clock() - started
        learn_language(ended.utterance, heard, ended.piece, last=True)
        return heard

    async def _finish(self, ended: Ended) -> None:
        """The last decode of an utterance, and its final text."""
        utterance, tools = ended.utterance, self._tools
        started = tools.clock()
        if ended.piece.activity.voice:
            try:
                partial = utterance.finish((await self._decoded_in_time(ended)).segments)
                metrics.LIVE_FINAL_SECONDS.observe(tools.clock() - started)
                metrics.LIVE_REAL_TIME_FACTOR.observe(utterance.real_time_factor(ended.end))
            except TranscriptionError as error:
                if not tools.stopping or not (utterance.confirmed + utterance.tentative):
                    tools.outbox.put(Failed(utterance.number, error))
                    return
                partial = utterance.settle()
            if partial:
                tools.put(partial, ended.end / SAMPLE_RATE)
        if utterance.error:
            tools.outbox.put(Failed(utterance.number, utterance.error))
        else:
            final = utterance.final(ended.end)
            tools.outbox.put(await self._labelled(final, ended.label) if ended.label and final.text else final)

    async def _labelled(self, final: Final, label: Callable[[Final], Awaitable[Final]]) -> Final:
        """The final text with its speakers; without them if they cannot be told apart."""
        try:
            return await label(final)
        except TranscriptionError as error:
            if not self._label_failed:
                log.error("live_speakers_failed", error=error.code, message=error.message)
            self._label_failed = True
            return final
