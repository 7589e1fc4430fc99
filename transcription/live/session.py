"""One live session: audio in, events out. The decisions are made in the other modules of this package."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import structlog

from runners.client.interface import Runner
from transcription.core.audio import SAMPLE_RATE
from transcription.core.default_folders import EMBEDDED_MODEL_DIR
from transcription.core.errors import AudioTooLong, TooManyLiveMinutes, TranscriptionError
from transcription.live.allowance import Allowance
from transcription.live.audio import Samples, as_samples
from transcription.live.cutting import WINDOW_SECONDS
from transcription.live.decoding import LiveDecoder, piece_of
from transcription.live.drafts import Tools
from transcription.live.events import LiveEvent, SpeechStarted, SpeechStopped
from transcription.live.listening import Listening
from transcription.live.options import LiveOptions
from transcription.live.outbox import Outbox
from transcription.live.pace import Pace
from transcription.live.turns import Started, Turn
from transcription.live.voices import Voices
from transcription.live.work import Ended, Work
from transcription.media.voice_stream import VoiceStream
from transcription.system.thread_priority import lower_priority
from transcription.telemetry import metrics

BLOCK_SAMPLES = SAMPLE_RATE // 2  # of a longer piece of audio, which is taken block by block
MOST_ENDED = 3  # utterances that wait for their last decode

# One thread for all sessions: a session needs it for 1 % of the time.
_VOICE_THREAD = ThreadPoolExecutor(max_workers=1, thread_name_prefix="voice", initializer=lower_priority)

log = structlog.get_logger(__name__)


class LiveSession:
    """Transcribes audio while it arrives. Opened by `LiveSessions.open`; for one event loop, not thread-safe.

    pace: shared by the sessions of a process. clock: monotonic seconds. on_close: called once it takes no more room.
    model_dir: WHISPER_MODEL_DIR, for the models that tell speakers apart. allowance: how much audio it may take; None
    for any amount. Needs a running event loop.

    latest: number of the utterance that started last, -1 before the first. Its events may still be unread.
    """

    def __init__(
        self,
        runner: Runner,
        options: LiveOptions,
        request_id: str,
        clock: Callable[[], float] = time.monotonic,
        pace: Pace | None = None,
        on_close: Callable[[LiveSession], None] = lambda _: None,
        model_dir: Path = EMBEDDED_MODEL_DIR,
        allowance: Allowance | None = None,
    ) -> None:
        self.id = uuid.uuid4().hex
        self.latest = -1
        self._model_dir = model_dir
        self._voices = Voices(model_dir, options.speakers) if options.speakers else None
        self._listening = Listening(options)
        self._voice = VoiceStream()
        self._outbox = Outbox()
        decoder = LiveDecoder(runner, request_id, self.id)
        self._work = Work(Tools(decoder, self._outbox, pace or Pace(), clock))
        self._taking = asyncio.Lock()
        self._on_close = on_close
        self._allowance = allowance or Allowance()
        self._finished = False
        self._worker = asyncio.create_task(self._work.run())
        self._worker.add_done_callback(partial(_close, self._outbox))

    @property
    def options(self) -> LiveOptions:
        """The options of the next utterance."""
        return self._listening.options

    @property
    def seconds(self) -> float:
        """Seconds of audio so far."""
        return self._listening.audio.end / SAMPLE_RATE

    def update(self, options: LiveOptions) -> None:
        """Change the options, from the next utterance on. An utterance without a voice so far takes them at once.

        A language that was detected is kept, unless another one, other candidates or another model are chosen.
        """
        if options.speakers and not self._voices:
            self._voices = Voices(self._model_dir, options.speakers)
        self._listening.update(options)

    async def feed(self, samples: Samples | bytes) -> None:
        """Append audio: int16, shape (n,), 16 kHz mono, or the same as little-endian bytes. Any n, 0 included.

        Waits while more than a few seconds of audio are unprocessed, which slows down a client that sends faster than
        real time. Beyond the allowance the session is finished. Raises InvalidParameter for an odd number of bytes.
        """
        pcm = as_samples(samples)
        try:
            async with self._taking:
                for start in range(0, len(pcm), BLOCK_SAMPLES):
                    while not self._finished and self._is_behind():
                        await self._work.progress()
                    if self._finished:
                        return
                    block = pcm[start : start + BLOCK_SAMPLES]
                    await self._allowance.take(len(block))
                    await self._take(block)
        except (AudioTooLong, TooManyLiveMinutes) as error:
            self._outbox.end_with(error)
            await self.finish()

    async def commit(self) -> int | None:
        """End the utterance now. Returns its number; None if no audio belongs to one."""
        async with self._taking:
            return self._end(self._listening.audio.end) if self._listening.current else None

    async def clear(self) -> None:
        """Forget the audio of the current utterance, of which there will be no more events."""
        async with self._taking:
            self._outbox.forget(self._listening.clear())
            self._work.follow(None)

    async def finish(self, *, stopping: bool = False) -> None:
        """End the utterance, and the events after its final text. Audio fed afterwards is ignored.

        stopping: the service ends, too. If the model can decode nothing more, the tentative text becomes the final one.
        """
        self._finished = True  # lets a waiting `feed` go
        self._work.wake()
        async with self._taking:
            if self._listening.current:
                self._end(self._listening.audio.end)
            self._work.finish(stopping=stopping)

    def events(self) -> AsyncIterator[LiveEvent]:
        """The events, in order, for one reader. Ends after `finish` or `aclose`; raises if the session has failed.

        After the last text of a session that a limit has ended, raises AudioTooLong or TooManyLiveMinutes.
        A reader that falls behind loses tentative text, nothing else.
        """
        return self._outbox.events()

    async def aclose(self, reason: TranscriptionError | None = None) -> None:
        """Stop at once and free everything; for `finally`. May be called again.

        reason: raised to the reader after the events so far.
        """
        if reason:
            self._outbox.end_with(reason)
        self._finished = True
        self._work.wake()
        self._worker.cancel()
        try:
            await asyncio.gather(self._worker, return_exceptions=True)
        finally:  # also if the caller is cancelled meanwhile, which is told to it
            if self._voices:
                self._voices.close()
            self._outbox.close()
            self._listening.let_go()  # a reader may keep the session for its text
            self._on_close(self)

    async def done(self) -> None:
        """Wait until there will be no more events, for whatever reason."""
        await asyncio.wait((self._worker,))

    def _is_behind(self) -> bool:
        current = self._listening.current
        waiting = self._listening.audio.end - current.base if current else 0
        full = waiting >= WINDOW_SECONDS * SAMPLE_RATE or self._work.waiting >= MOST_ENDED or self._outbox.full
        return full and not self._worker.done()

    async def _take(self, pcm: Samples) -> None:
        metrics.LIVE_AUDIO_SECONDS.inc(len(pcm) / SAMPLE_RATE)
        listening = self._listening
        chunks = listening.append(pcm)
        loop = asyncio.get_running_loop()
        probabilities = await loop.run_in_executor(_VOICE_THREAD, self._voice.listen, chunks)
        for turn in listening.hear(probabilities):
            self._turn(turn)
        if self._voices and listening.current and listening.current.options.speakers:
            await self._voices.hear(listening.current, listening.audio, listening.voice_end)
        listening.let_go()
        self._work.follow(listening.current, listening.audio, listening.voice_end, listening.likely_end)

    def _turn(self, turn: Turn) -> None:
        if isinstance(turn, Started):
            utterance = self._listening.start(turn)
            self.latest = utterance.number
            self._outbox.put(SpeechStarted(utterance.number, utterance.start / SAMPLE_RATE))
        elif self._listening.current:
            self._end(turn.at, by_pause=True)

    def _end(self, at: int, *, by_pause: bool = False) -> int:
        """End the utterance. at: the sample after its voice."""
        utterance, end = self._listening.end(at)
        self.latest = utterance.number  # one that the client ends was not started by a voice
        if by_pause or utterance.options.turn_detection:
            self._outbox.put(SpeechStopped(utterance.number, at / SAMPLE_RATE))
        label = None
        if self._voices and utterance.options.speakers:
            sound = self._voices.end(utterance, self._listening.audio, end, self._listening.voice_end)
            label = partial(self._voices.label, sound=sound)
        self._work.add(Ended(utterance, piece_of(utterance, self._listening.audio, end), end, label))
        self._work.follow(None)
        return utterance.number


def _close(outbox: Outbox, worker: asyncio.Task[None]) -> None:
    """End the events with the worker."""
    error = None if worker.cancelled() else worker.exception()
    if error:
        log.error("live_session_failed", exc_info=error)
    outbox.close(error)
