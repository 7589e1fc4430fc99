"""One live session: audio in, events out. The decisions are made in the other modules of this package."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import structlog

from runners.client.interface import Runner
from transcription.core.audio import SAMPLE_RATE
from transcription.live.audio import AudioBuffer, Samples, as_samples
from transcription.live.cutting import WINDOW_SECONDS
from transcription.live.decoding import LiveDecoder
from transcription.live.events import LiveEvent, SpeechStarted, SpeechStopped
from transcription.live.language import LanguageLock
from transcription.live.options import MOST_PADDING_MS, LiveOptions
from transcription.live.outbox import Outbox
from transcription.live.pace import Pace
from transcription.live.turns import Started, Turn, Turns
from transcription.live.utterance import Utterance
from transcription.live.work import Ended, Work
from transcription.media.voice_activity import CHUNK_SAMPLES
from transcription.media.voice_stream import VoiceStream
from transcription.system.thread_priority import lower_priority
from transcription.telemetry import metrics

BLOCK_SAMPLES = SAMPLE_RATE // 2  # of a longer piece of audio, which is taken block by block
TAIL_SAMPLES = SAMPLE_RATE * 3 // 10  # of the silence after an utterance that are decoded with it
KEPT_SAMPLES = (MOST_PADDING_MS * SAMPLE_RATE // 1000) + SAMPLE_RATE // 2  # between two utterances
MOST_ENDED = 3  # utterances that wait for their last decode

# One thread for all sessions: a session needs it for 1 % of the time.
_VOICE_THREAD = ThreadPoolExecutor(max_workers=1, thread_name_prefix="voice", initializer=lower_priority)

log = structlog.get_logger(__name__)


class LiveSession:
    """Transcribes audio while it arrives. Opened by `LiveSessions.open`; for one event loop, not thread-safe.

    pace: shared by the sessions of a process. clock: monotonic seconds. on_close: called once it takes no more room.
    Needs a running event loop.
    """

    def __init__(
        self,
        runner: Runner,
        options: LiveOptions,
        request_id: str,
        clock: Callable[[], float] = time.monotonic,
        pace: Pace | None = None,
        on_close: Callable[[LiveSession], None] = lambda _: None,
    ) -> None:
        self.id = uuid.uuid4().hex
        self._options = options
        self._audio = AudioBuffer()
        self._voice = VoiceStream()
        self._turns = Turns(options.turn_detection) if options.turn_detection else None
        self._current: Utterance | None = None
        self._number = 0  # of the utterance that is being spoken, or else the next
        self._last_end = 0  # sample at which the utterance before ended
        self._voice_end = 0  # sample after the last chunk with a voice
        self._outbox = Outbox()
        decoder = LiveDecoder(runner, request_id, self.id)
        self._work = Work(decoder, self._outbox, pace or Pace(), LanguageLock(options.decode), clock)
        self._taking = asyncio.Lock()
        self._on_close = on_close
        self._finished = False
        self._worker = asyncio.create_task(self._work.run())
        self._worker.add_done_callback(self._ended)

    @property
    def options(self) -> LiveOptions:
        """The options of the next utterance."""
        return self._options

    @property
    def seconds(self) -> float:
        """Seconds of audio so far."""
        return self._audio.end / SAMPLE_RATE

    def update(self, options: LiveOptions) -> None:
        """Change the options, from the next utterance on. An utterance without a voice so far takes them at once."""
        if self._current and not self._has_voice(self._current):
            self._current = None
        if options.decode != self._options.decode:
            self._work.relearn(LanguageLock(options.decode))
        if options.turn_detection != self._options.turn_detection and not self._current:
            self._turns = Turns(options.turn_detection) if options.turn_detection else None
        self._options = options

    async def feed(self, samples: Samples | bytes) -> None:
        """Append audio: int16, shape (n,), 16 kHz mono, or the same as little-endian bytes. Any n, 0 included.

        Waits while more than a few seconds of audio are unprocessed, which slows down a client that sends faster than
        real time. Raises InvalidParameter for an odd number of bytes.
        """
        pcm = as_samples(samples)
        async with self._taking:
            for start in range(0, len(pcm), BLOCK_SAMPLES):
                while not self._finished and self._is_behind():
                    await self._work.progress()
                if self._finished:
                    return
                await self._take(pcm[start : start + BLOCK_SAMPLES])

    async def commit(self) -> int | None:
        """End the utterance now. Returns its number; None if no audio belongs to one."""
        async with self._taking:
            return self._end(self._audio.end) if self._current else None

    async def clear(self) -> None:
        """Forget the audio of the current utterance, of which there will be no more events."""
        async with self._taking:
            self._current = None
            self._work.follow(None)
            self._last_end = self._audio.end
            if self._turns:
                self._turns.stop()

    async def finish(self) -> None:
        """End the utterance, and the events after its final text. Audio fed afterwards is ignored."""
        self._finished = True  # lets a waiting `feed` go
        self._work.wake()
        async with self._taking:
            if self._current:
                self._end(self._audio.end)
            self._work.finish()

    def events(self) -> AsyncIterator[LiveEvent]:
        """The events, in order, for one reader. Ends after `finish` or `aclose`; raises if the session has failed.

        A reader that falls behind loses tentative text, nothing else.
        """
        return self._outbox.events()

    async def aclose(self) -> None:
        """Stop at once and free everything; for `finally`. May be called again."""
        self._finished = True
        self._work.wake()
        self._worker.cancel()
        with suppress(asyncio.CancelledError):
            await asyncio.gather(self._worker, return_exceptions=True)
        self._outbox.close()
        self._on_close(self)

    async def done(self) -> None:
        """Wait until there will be no more events, for whatever reason."""
        await asyncio.wait((self._worker,))

    def _is_behind(self) -> bool:
        waiting = self._audio.end - self._current.base if self._current else 0
        return (
            waiting >= WINDOW_SECONDS * SAMPLE_RATE or self._work.waiting >= MOST_ENDED or self._outbox.full
        ) and not self._worker.done()

    async def _take(self, pcm: Samples) -> None:
        position = self._audio.heard
        if not self._turns and not self._current:
            self._open(max(self._last_end, self._audio.end))
        metrics.LIVE_AUDIO_SECONDS.inc(len(pcm) / SAMPLE_RATE)
        chunks = self._audio.append(pcm)
        loop = asyncio.get_running_loop()
        probabilities = await loop.run_in_executor(_VOICE_THREAD, self._voice.listen, chunks)
        self._audio.add_probabilities(probabilities)
        self._follow_voice(position, probabilities)
        for turn in self._turns.add(position, probabilities) if self._turns else ():
            self._turn(turn)
        self._let_go()
        self._work.follow(self._current, self._audio, self._voice_end)

    def _follow_voice(self, position: int, probabilities: list[float]) -> None:
        threshold = self._options.threshold
        for index, probability in enumerate(probabilities, start=1):
            if probability >= threshold:
                self._voice_end = position + index * CHUNK_SAMPLES

    def _turn(self, turn: Turn) -> None:
        if isinstance(turn, Started):
            start = max(turn.at, self._last_end, self._audio.start)
            self._open(start)
            self._outbox.put(SpeechStarted(self._number, start / SAMPLE_RATE))
        elif self._current:
            self._end(turn.at)

    def _open(self, start: int) -> None:
        self._current = Utterance(self._number, start, self._options)

    def _end(self, at: int) -> int:
        """End the utterance. at: the sample after its voice."""
        utterance = self._current
        assert utterance is not None
        if utterance.options.turn_detection:
            self._outbox.put(SpeechStopped(utterance.number, at / SAMPLE_RATE))
        end = min(self._audio.end, at + TAIL_SAMPLES)
        self._work.add(Ended.of(utterance, self._audio, end))
        self._current = None
        self._work.follow(None)
        self._last_end = end
        self._number += 1
        if self._turns:
            self._turns.stop()
        if self._options.turn_detection and not utterance.options.turn_detection:
            self._turns = Turns(self._options.turn_detection)
        elif not self._options.turn_detection:
            self._turns = None
        return utterance.number

    def _let_go(self) -> None:
        """Forget audio that is no longer needed."""
        current = self._current
        if current and not current.tentative and not self._has_voice(current):
            # A pause inside the utterance: kept as padding alone.
            current.base = max(current.base, self._audio.heard - KEPT_SAMPLES)
        self._audio.drop_before(current.base if current else self._audio.end - KEPT_SAMPLES)

    def _has_voice(self, utterance: Utterance) -> bool:
        return self._audio.voiced(utterance.base, self._audio.heard, utterance.options.threshold)

    def _ended(self, worker: asyncio.Task[None]) -> None:
        error = None if worker.cancelled() else worker.exception()
        if error:
            log.error("live_session_failed", exc_info=error)
        self._outbox.close(error)
