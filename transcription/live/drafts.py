"""Decodes the utterance that is being spoken now and then, for its tentative and confirmed text.

In a pause that will end the utterance if it lasts, the last decode is begun early. If it does not last, what was
decoded serves as one more tick.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import structlog

from transcription.core.audio import SAMPLE_RATE
from transcription.core.errors import ServiceUnavailable, Superseded, TranscriptionError
from transcription.live.audio import AudioBuffer
from transcription.live.cutting import FULL_SECONDS
from transcription.live.decoding import Hypothesis, LiveDecoder, Piece, piece_of
from transcription.live.events import Partial
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
    clock: Callable[[], float]
    stopping: bool = False

    def put(self, partial: Partial, now: float) -> None:
        """Send an event. now: seconds of audio so far."""
        for word in partial.words:
            metrics.LIVE_CONFIRM_SECONDS.observe(max(0.0, now - word.end))
        self.outbox.put(partial)


@dataclass(frozen=True, slots=True)
class Early:
    """A decode that may be the last one of an utterance. It has no result if it failed."""

    piece: Piece
    decode: asyncio.Task[Hypothesis | None]


@dataclass(slots=True)
class _Followed:
    """The utterance that is being spoken. seen: samples that a tick has had. voice_end, likely_end: see `Listening`.

    early: the last decode, begun in the pause that may end the utterance.
    """

    utterance: Utterance
    audio: AudioBuffer
    voice_end: int
    likely_end: int | None = None
    early: Early | None = None
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
        self._ticks: set[asyncio.Task[Hypothesis | None]] = set()
        self._taken: set[asyncio.Task[Hypothesis | None]] = set()  # that became last decodes
        self._failure: BaseException | None = None

    @property
    def active(self) -> bool:
        """Whether an utterance is followed."""
        return self._followed is not None

    def follow(
        self, utterance: Utterance | None, audio: AudioBuffer | None, voice_end: int, likely_end: int | None
    ) -> None:
        """The utterance that is being spoken, with its audio so far; None if there is none. See `Listening`."""
        followed = self._followed
        if utterance is None or audio is None:
            self._discard_early()
            self._followed = None
            _cancel(self._ticks)
        elif followed and followed.utterance is utterance:
            if likely_end != followed.likely_end:
                self._discard_early()
            followed.voice_end, followed.likely_end = voice_end, likely_end
        else:
            self._discard_early()
            self._followed = _Followed(utterance, audio, voice_end, likely_end, seen=utterance.start)

    def take_early(self, piece: Piece) -> asyncio.Task[Hypothesis | None] | None:
        """The last decode of the utterance, if it was begun early and had this audio."""
        early = self._followed.early if self._followed else None
        if not self._followed or not early or (early.piece.start, early.piece.end) != (piece.start, piece.end):
            return None
        self._followed.early = None
        self._ticks.discard(early.decode)
        if not early.decode.done():
            self._taken.add(early.decode)
        return early.decode

    def cancel(self) -> None:
        """Give up all decodes that are on their way."""
        _cancel(self._ticks | self._taken)

    def tick_if_due(self) -> None:
        """Decode what there is, if it is time. Raises what a tick did not expect."""
        followed = self._followed
        if self._failure:
            raise self._failure
        # A tick would take the place of a last decode that still waits in the queue.
        if not followed or self._taken or len(self._ticks) >= MOST_TICKS:
            return
        now = self._tools.clock()
        ends_soon = _ends_soon(followed.utterance)
        if ends_soon and followed.likely_end is not None and not followed.early:
            piece = piece_of(followed.utterance, followed.audio, followed.likely_end)
            if piece.activity.voice:
                followed.early = Early(piece, self._send(followed, piece, now, early=True))
            return
        moment = self._moment(followed, now)
        if is_due(moment, self._tools.pace.interval(now), ends_soon=ends_soon):
            piece = piece_of(followed.utterance, followed.audio, followed.audio.heard)
            self._send(followed, piece, now, complete=moment.silence >= PAUSE_SECONDS)

    def _send(
        self, followed: _Followed, piece: Piece, now: float, *, complete: bool = False, early: bool = False
    ) -> asyncio.Task[Hypothesis | None]:
        """Start a tick."""
        followed.sent += 1
        followed.last_tick = now
        followed.seen = piece.end
        tick = asyncio.create_task(self._tick(followed, piece, followed.sent, complete=complete, early=early))
        self._ticks.add(tick)
        tick.add_done_callback(self._ticked)
        return tick

    def _discard_early(self) -> None:
        """Someone speaks on, or the utterance is over. A decode that is on its way remains a tick."""
        if self._followed and self._followed.early:
            self._followed.early = None
            metrics.LIVE_EARLY_DECODES.labels(outcome="discarded").inc()

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

    async def _tick(
        self, followed: _Followed, piece: Piece, number: int, *, complete: bool, early: bool
    ) -> Hypothesis | None:
        """Decode what there is, and put the event. Returns what was heard; None if that failed.

        complete: the audio ends with a pause, which confirms its words. early: it may be the last decode.
        """
        utterance, started = followed.utterance, self._tools.clock()
        thorough = complete or early or utterance.fruitless > 0
        try:
            heard = await self._heard(piece, utterance, thorough=thorough, replaceable=early)
        except Superseded:
            metrics.LIVE_DROPPED_TICKS.inc()
            return None
        except TranscriptionError as error:
            if followed is self._followed:
                self._failed(followed, piece, error)
            return None
        now = self._tools.clock()
        utterance.decoding += now - started
        if not thorough:
            self._tools.pace.learn(now - started, now)
            metrics.LIVE_TICK_SECONDS.observe(now - started)
        if followed is self._followed and number >= followed.applied:
            self._apply(followed, heard, piece, number, complete=complete)
        return heard

    async def _heard(self, piece: Piece, utterance: Utterance, *, thorough: bool, replaceable: bool) -> Hypothesis:
        tools, options, language = self._tools, utterance.options, utterance.lock.language
        if not thorough:
            beams = tools.pace.has_time_to_search(tools.clock())
            return await tools.decoder.quickly(piece, options, language, beams=beams)
        return await tools.decoder.thoroughly(piece, options, language, lambda: tools.stopping, replaceable=replaceable)

    def _apply(self, followed: _Followed, heard: Hypothesis, piece: Piece, number: int, *, complete: bool) -> None:
        utterance = followed.utterance
        followed.applied, followed.errors = number, 0
        certain = learn_language(utterance, heard, piece, last=False)
        # The audio of an early decode has to be that of the last one.
        cuts = followed.early is None
        partial = utterance.hear(heard.segments, piece.start, piece.end, certain=certain, complete=complete, cuts=cuts)
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

    def _ticked(self, tick: asyncio.Task[Hypothesis | None]) -> None:
        self._ticks.discard(tick)
        self._taken.discard(tick)
        if not tick.cancelled() and (error := tick.exception()):
            self._failure = error
        self._on_change()


def learn_language(utterance: Utterance, heard: Hypothesis, piece: Piece, *, last: bool) -> bool:
    """Take the language of a decode. Returns whether it is certain. last: the decode is that of a whole utterance."""
    utterance.language = heard.language
    seconds = len(piece.samples) / SAMPLE_RATE
    return utterance.lock.learn(heard.language, heard.language_probability, seconds, last=last)


def _cancel(tasks: Iterable[asyncio.Task[Hypothesis | None]]) -> None:
    for task in tasks:
        task.cancel()


def _ends_soon(utterance: Utterance) -> bool:
    detection = utterance.options.turn_detection
    return detection is not None and detection.silence_ms <= SOON_MS
