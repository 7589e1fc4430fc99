"""Decodes the utterance that is being spoken now and then, for its tentative and confirmed text."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

import structlog

from transcription.core.audio import SAMPLE_RATE
from transcription.core.errors import ServiceUnavailable, Superseded, TranscriptionError
from transcription.live.audio import AudioBuffer
from transcription.live.cutting import FULL_SECONDS
from transcription.live.decoding import Hypothesis, LiveDecoder, Piece, piece_of
from transcription.live.events import Partial
from transcription.live.language import LanguageLock
from transcription.live.outbox import Outbox
from transcription.live.pace import Pace
from transcription.live.ticks import PAUSE_SECONDS, Moment, is_due
from transcription.live.utterance import Utterance
from transcription.telemetry import metrics

MOST_TICKS = 3  # of a session at once: one runs, one waits, and one is about to replace it
SOON_MS = 800  # a pause that ends the utterance after so long is not worth a tick
PAUSE_AFTER_ERROR = 1.0  # seconds
MOST_ERRORS = 20  # ticks in a row: about as long as the model's process needs to be replaced twice

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Tools:
    """What the work of a session is done with.

    clock: monotonic seconds. stopping: the service ends, and the model's process with it; nothing is tried again.
    """

    decoder: LiveDecoder
    outbox: Outbox
    pace: Pace
    language: LanguageLock
    clock: Callable[[], float]
    stopping: bool = False

    def learn(self, heard: Hypothesis, piece: Piece, *, last: bool) -> bool:
        """Learn the language. Returns whether it is certain. last: the decode is that of a whole utterance."""
        seconds = len(piece.samples) / SAMPLE_RATE
        return self.language.learn(heard.language, heard.language_probability, seconds, last=last)

    def put(self, partial: Partial, now: float) -> None:
        """Send an event. now: seconds of audio so far."""
        for word in partial.words:
            metrics.LIVE_CONFIRM_SECONDS.observe(max(0.0, now - word.end))
        self.outbox.put(partial)


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


class Drafts:
    """The ticks of one session. on_change: called when a tick has ended."""

    def __init__(self, tools: Tools, on_change: Callable[[], None]) -> None:
        self._tools = tools
        self._on_change = on_change
        self._followed: _Followed | None = None
        self._ticks: set[asyncio.Task[None]] = set()
        self._failure: BaseException | None = None

    @property
    def active(self) -> bool:
        """Whether an utterance is followed."""
        return self._followed is not None

    def follow(self, utterance: Utterance | None, audio: AudioBuffer | None, voice_end: int) -> None:
        """The utterance that is being spoken, with its audio so far; None if there is none."""
        if utterance is None or audio is None:
            self._followed = None
            self.cancel()
        elif self._followed and self._followed.utterance is utterance:
            self._followed.voice_end = voice_end
        else:
            self._followed = _Followed(utterance, audio, voice_end, seen=utterance.start)

    def cancel(self) -> None:
        """Give up the ticks that are on their way."""
        for tick in self._ticks:
            tick.cancel()

    def tick_if_due(self) -> None:
        """Decode what there is, if it is time. Raises what a tick did not expect."""
        followed = self._followed
        if self._failure:
            raise self._failure
        if not followed or len(self._ticks) >= MOST_TICKS:
            return
        now = self._tools.clock()
        moment = self._moment(followed, now)
        if not is_due(moment, self._tools.pace.interval(now), ends_soon=_ends_soon(followed.utterance)):
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
        utterance, started = followed.utterance, self._tools.clock()
        thorough = complete or utterance.fruitless > 0
        decode = self._tools.decoder.thoroughly if thorough else self._tools.decoder.quickly
        try:
            heard = await decode(piece, utterance.options, self._tools.language.language)
        except Superseded:
            metrics.LIVE_DROPPED_TICKS.inc()
            return
        except TranscriptionError as error:
            self._failed(followed, piece, error)
            return
        now = self._tools.clock()
        if not thorough:
            self._tools.pace.learn(now - started, now)
            metrics.LIVE_TICK_SECONDS.observe(now - started)
        if followed is not self._followed or number < followed.applied:
            return
        followed.applied, followed.errors = number, 0
        certain = self._tools.learn(heard, piece, last=False)
        utterance.language = heard.language
        partial = utterance.hear(heard.segments, piece.end, certain=certain, complete=complete)
        if utterance.fruitless:
            followed.seen = utterance.base  # so that the same audio is decoded again
        if partial:
            self._tools.put(partial, followed.audio.heard / SAMPLE_RATE)

    def _failed(self, followed: _Followed, piece: Piece, error: TranscriptionError) -> None:
        """A tick is repeated after a while. Audio that cannot be decoded is given up once it has to be cut."""
        followed.errors += 1
        followed.seen = followed.utterance.base
        followed.last_tick = self._tools.clock() + PAUSE_AFTER_ERROR
        patience = MOST_ERRORS if isinstance(error, ServiceUnavailable) else 1
        log.info("live_tick_failed", error=error.code, times=followed.errors)
        if followed.errors >= patience and len(piece.samples) >= FULL_SECONDS * SAMPLE_RATE:
            followed.errors = 0
            followed.utterance.give_up(piece.end, error)

    def _ticked(self, tick: asyncio.Task[None]) -> None:
        self._ticks.discard(tick)
        if not tick.cancelled() and (error := tick.exception()):
            self._failure = error
        self._on_change()


def _ends_soon(utterance: Utterance) -> bool:
    detection = utterance.options.turn_detection
    return detection is not None and detection.silence_ms <= SOON_MS
