"""The work of a session: decodes what is being spoken now and then, and utterances that have ended, in order."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import structlog

from transcription.core.audio import SAMPLE_RATE
from transcription.core.errors import ServiceUnavailable, Superseded, TranscriptionError
from transcription.live.audio import AudioBuffer
from transcription.live.cutting import FULL_SECONDS
from transcription.live.decoding import Hypothesis, LiveDecoder, Piece
from transcription.live.events import Failed, Partial
from transcription.live.language import LanguageLock
from transcription.live.outbox import Outbox
from transcription.live.pace import Pace
from transcription.live.ticks import PAUSE_SECONDS, Moment, is_due
from transcription.live.utterance import Utterance
from transcription.telemetry import metrics

LOOK_SECONDS = 0.1  # between two looks at the utterance
MOST_TICKS = 3  # of a session at once: one runs, one waits, and one is about to replace it
SOON_MS = 800  # a pause that ends the utterance after so long is not worth a tick
PAUSE_AFTER_ERROR = 1.0  # seconds
LONGEST_SECONDS = 15.0  # audio of a decode, what came in while the window was full included
MOST_ERRORS = 20  # ticks in a row: about as long as the model's process needs to be replaced twice

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, eq=False)
class Ended:
    """An utterance that has ended, with what is left of its audio. end: its last sample, exclusive."""

    utterance: Utterance
    piece: Piece
    end: int

    @classmethod
    def of(cls, utterance: Utterance, audio: AudioBuffer, end: int) -> Ended:
        """Take what the last decode needs from the buffer."""
        return cls(utterance, piece_of(utterance, audio, end), end)


@dataclass(slots=True)
class _Followed:
    """The utterance that is being spoken. seen: samples that a tick has had; voice_end: after its last voice."""

    utterance: Utterance
    audio: AudioBuffer
    voice_end: int
    seen: int = 0
    sent: int = 0
    applied: int = 0
    errors: int = 0
    last_tick: float = float("-inf")


class Work:
    """Decodes for one session and puts the events into its outbox. `run` does all of it, until `finish`."""

    def __init__(
        self, decoder: LiveDecoder, outbox: Outbox, pace: Pace, language: LanguageLock, clock: Callable[[], float]
    ) -> None:
        self._decoder = decoder
        self._outbox = outbox
        self._pace = pace
        self._language = language
        self._clock = clock
        self._followed: _Followed | None = None
        self._ended: deque[Ended] = deque()
        self._ticks: set[asyncio.Task[None]] = set()
        self._awake = asyncio.Event()
        self._more = asyncio.Event()  # utterances have ended, or no more will
        self._progressed = asyncio.Event()
        self._finishing = False
        self._failure: BaseException | None = None

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

    def relearn(self, language: LanguageLock) -> None:
        """Detect the language anew."""
        self._language = language

    def follow(self, utterance: Utterance | None, audio: AudioBuffer | None = None, voice_end: int = 0) -> None:
        """The utterance that is being spoken, with its audio so far; None if nobody speaks."""
        if utterance is None or audio is None:
            self._followed = None
            self._cancel_ticks()
        elif self._followed and self._followed.utterance is utterance:
            self._followed.voice_end = voice_end
        else:
            self._followed = _Followed(utterance, audio, voice_end, seen=utterance.start)
        self.wake()

    def add(self, ended: Ended) -> None:
        """An utterance that has ended."""
        self._ended.append(ended)
        self._more.set()

    def finish(self) -> None:
        """End `run` once everything is done."""
        self._finishing = True
        self._more.set()
        self.wake()

    async def run(self) -> None:
        """Work until `finish`."""
        try:
            async with asyncio.TaskGroup() as group:
                last = group.create_task(self._finish_in_order())
                while not (self._finishing and last.done()):
                    self._tick_if_due()
                    await self._rest()
        finally:
            self._cancel_ticks()

    async def _finish_in_order(self) -> None:
        """The last decodes, one after the other, beside the ticks of the utterance after them."""
        while True:
            while self._ended:
                await self._finish(self._ended[0])
                self._ended.popleft()
                self.wake()
            if self._finishing:
                self.wake()
                return
            self._more.clear()
            await self._more.wait()

    async def _rest(self) -> None:
        try:
            async with asyncio.timeout(LOOK_SECONDS if self._followed else None):
                await self._awake.wait()
        except TimeoutError:
            pass
        self._awake.clear()

    def _tick_if_due(self) -> None:
        followed = self._followed
        if self._failure:
            raise self._failure
        if not followed or len(self._ticks) >= MOST_TICKS:
            return
        now = self._clock()
        moment = self._moment(followed, now)
        if not is_due(moment, self._pace.interval(now), ends_soon=_ends_soon(followed.utterance)):
            return
        followed.sent += 1
        followed.last_tick = now
        piece = piece_of(followed.utterance, followed.audio, followed.audio.heard)
        followed.seen = piece.end
        complete = moment.silence >= PAUSE_SECONDS
        tick = asyncio.create_task(self._tick(followed, piece, followed.sent, complete=complete))
        self._ticks.add(tick)
        tick.add_done_callback(self._ticked)

    def _moment(self, followed: _Followed, now: float) -> Moment:
        end = followed.audio.heard
        return Moment(
            audio=(end - followed.utterance.base) / SAMPLE_RATE,
            fresh=(end - followed.seen) / SAMPLE_RATE,
            voiced=followed.voice_end > followed.seen,
            silence=(end - followed.voice_end) / SAMPLE_RATE,
            paused=followed.seen >= followed.voice_end + PAUSE_SECONDS * SAMPLE_RATE,
            since=now - followed.last_tick,
            waiting=bool(self._ticks),
        )

    async def _tick(self, followed: _Followed, piece: Piece, number: int, *, complete: bool) -> None:
        """Decode what there is, and put the event. complete: the audio ends with a pause."""
        utterance, started = followed.utterance, self._clock()
        thorough = complete or utterance.fruitless > 0
        decode = self._decoder.thoroughly if thorough else self._decoder.quickly
        try:
            heard = await decode(piece, utterance.options, self._language.language)
        except Superseded:
            metrics.LIVE_DROPPED_TICKS.inc()
            return
        except TranscriptionError as error:
            self._failed(followed, piece, error)
            return
        now = self._clock()
        if not thorough:
            self._pace.learn(now - started, now)
            metrics.LIVE_TICK_SECONDS.observe(now - started)
        if followed is not self._followed or number < followed.applied:
            return
        followed.applied, followed.errors = number, 0
        certain = self._learn(heard, piece, last=False)
        utterance.language = heard.language
        partial = utterance.hear(heard.segments, piece.end, certain=certain, complete=complete)
        if utterance.fruitless:
            followed.seen = utterance.base  # so that the same audio is decoded again
        if partial:
            self._put(partial, followed.audio.heard / SAMPLE_RATE)

    def _failed(self, followed: _Followed, piece: Piece, error: TranscriptionError) -> None:
        """A tick is repeated after a while. Audio that cannot be decoded is given up once it has to be cut."""
        followed.errors += 1
        followed.seen = followed.utterance.base
        followed.last_tick = self._clock() + PAUSE_AFTER_ERROR
        patience = MOST_ERRORS if isinstance(error, ServiceUnavailable) else 1
        log.info("live_tick_failed", error=error.code, times=followed.errors)
        if followed.errors >= patience and len(piece.samples) >= FULL_SECONDS * SAMPLE_RATE:
            followed.errors = 0
            followed.utterance.give_up(piece.end, error)

    async def _finish(self, ended: Ended) -> None:
        """The last decode of an utterance, and its final text."""
        utterance, started = ended.utterance, self._clock()
        if ended.piece.activity.voice:
            try:
                heard = await self._decoder.thoroughly(ended.piece, utterance.options, self._language.language)
            except TranscriptionError as error:
                self._outbox.put(Failed(utterance.number, error))
                return
            metrics.LIVE_FINAL_SECONDS.observe(self._clock() - started)
            self._learn(heard, ended.piece, last=True)
            utterance.language = heard.language
            if partial := utterance.finish(heard.segments):
                self._put(partial, ended.end / SAMPLE_RATE)
        if utterance.error:
            self._outbox.put(Failed(utterance.number, utterance.error))
        else:
            self._outbox.put(utterance.final(ended.end))

    def _learn(self, heard: Hypothesis, piece: Piece, *, last: bool) -> bool:
        seconds = len(piece.samples) / SAMPLE_RATE
        return self._language.learn(heard.language, heard.language_probability, seconds, last=last)

    def _put(self, partial: Partial, now: float) -> None:
        """now: seconds of audio so far."""
        for word in partial.words:
            metrics.LIVE_CONFIRM_SECONDS.observe(max(0.0, now - word.end))
        self._outbox.put(partial)
        self._progressed.set()

    def _ticked(self, tick: asyncio.Task[None]) -> None:
        self._ticks.discard(tick)
        if not tick.cancelled() and (error := tick.exception()):
            self._failure = error
        self.wake()

    def _cancel_ticks(self) -> None:
        for tick in self._ticks:
            tick.cancel()


def piece_of(utterance: Utterance, audio: AudioBuffer, end: int) -> Piece:
    """What is left of the audio of an utterance, at most WINDOW_SECONDS. end: its last sample, exclusive."""
    start = max(utterance.base, audio.start, end - round(LONGEST_SECONDS * SAMPLE_RATE))
    return Piece(start, audio.slice(start, end), audio.activity(start, end, utterance.options.threshold))


def _ends_soon(utterance: Utterance) -> bool:
    detection = utterance.options.turn_detection
    return detection is not None and detection.silence_ms <= SOON_MS
