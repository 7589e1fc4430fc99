"""Turns an accepted upload into a transcript. The only module that knows the order of the steps."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, aclosing
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from runners.client.interface import Runner
from transcription.core.audio import SAMPLE_RATE, Span, Timeline, Window
from transcription.core.errors import InvalidParameter, ServiceUnavailable, TranscriptionError
from transcription.core.languages import DOUBTFUL, UNDETERMINED
from transcription.core.options import Channel, DecodeOptions, Priority, SoundOptions, Ticket, TranscriptionRequest
from transcription.core.settings import Settings
from transcription.core.speakers import LONGEST_SAMPLE, REFERENCES, KnownVoice, SpeakerOptions, SpeakerTurns
from transcription.core.transcript import PlacedResult, Transcript, WindowResult
from transcription.media.decode import decode
from transcription.media.intake.upload import Upload
from transcription.media.media import Media
from transcription.media.tracks import track_notices
from transcription.media.windows import cut_windows, longest_window
from transcription.pipeline.assemble import judged, prompt_notices
from transcription.pipeline.counted_samples import CountedSamples
from transcription.pipeline.diarize import SpeakerStage, voice_in
from transcription.pipeline.opener import Opener
from transcription.pipeline.request_key import computed_by, still_valid
from transcription.pipeline.room import Share
from transcription.pipeline.sides import SIDES, Side, by_time, merged

# Enough to fill a large GPU batch. At 0.96 MB per window at most this is 15 MB per request.
WINDOWS_IN_FLIGHT = 16
MOST_DETECTIONS = 2  # windows that are asked for the language of a file


OnResult = Callable[[PlacedResult, float | None], None]


@dataclass(frozen=True, slots=True)
class _Sent:
    """A window that was sent to the runner, without its samples."""

    timeline: Timeline
    speech: tuple[Span, ...] | None
    voice: tuple[Span, ...] | None
    task: asyncio.Task[WindowResult]


@dataclass(frozen=True, slots=True)
class Detection:
    """The language of a file; "und" without speech. probability: 0 to 1."""

    language: str
    probability: float


class Pipeline:
    """Transcribes accepted uploads: probe, decoder, windows, runner, assembly."""

    def __init__(self, settings: Settings, runner: Runner) -> None:
        self._settings = settings
        self._runner = runner
        self._opener = Opener(settings)

    async def transcribe(
        self,
        upload: Upload,
        request: TranscriptionRequest,
        ticket: Callable[[], Ticket],
        known: Sequence[PlacedResult] = (),
        on_result: OnResult | None = None,
    ) -> Transcript:
        """The transcript of the whole file.

        ticket: called at the start, and for each window as it is sent, because the priority may change during the run.
        known: results of an earlier, interrupted run of the same file and request, from the first window on.
        on_result: called for each window in file order, known ones included, with the seconds of audio in the file
            (None if unknown).
        Raises the errors of media/ and of the runner. A cancellation kills the decoder and withdraws queued windows.
        """
        started = time.perf_counter()
        transcript = await self._transcribe(upload, request, ticket, known, on_result)
        return replace(transcript, processing_time=time.perf_counter() - started)

    async def _transcribe(
        self,
        upload: Upload,
        request: TranscriptionRequest,
        ticket: Callable[[], Ticket],
        known: Sequence[PlacedResult],
        on_result: OnResult | None,
    ) -> Transcript:
        async with AsyncExitStack() as stack:
            background = ticket().priority is Priority.BACKGROUND
            opening = self._opener.open(upload, request.sound, background=background)
            media, share = await stack.enter_async_context(opening)
            if request.sound.channel is Channel.SPLIT:
                return await self._transcribe_channels(media, share, request, ticket, known, on_result)
            notices = track_notices(media, request.sound)
            placed: list[PlacedResult] = []
            speakers = None
            if request.speakers:
                heard = [item.heard for item in known if item.heard]
                stage = SpeakerStage(request.speakers, self._settings.whisper_model_dir, heard)
                speakers = await stack.enter_async_context(aclosing(stage))
            blocks = decode(media, self._settings, notices, request.sound.channel)
            pcm = CountedSamples(blocks, share, speakers.feed if speakers else None)
            # Closes the decoder now: `windows` would leave it to the garbage collector.
            await stack.enter_async_context(aclosing(pcm))
            windows = windows_of(pcm, request)
            results = await stack.enter_async_context(aclosing(self._results(windows, request, ticket, known)))
            async for item in results:
                if speakers and len(placed) >= len(known):  # the others are stored already
                    item = replace(item, heard=speakers.heard())
                placed.append(item)
                if on_result:
                    on_result(item, media.duration)
            transcript = judged(placed, request, pcm.samples / SAMPLE_RATE)
            if speakers:
                transcript = await speakers.label(transcript)
        return replace(transcript, notices=(*notices, *prompt_notices(placed)))

    async def _transcribe_channels(
        self,
        media: Media,
        share: Share,
        request: TranscriptionRequest,
        ticket: Callable[[], Ticket],
        known: Sequence[PlacedResult],
        on_result: OnResult | None,
    ) -> Transcript:
        """Left and right apart, a window of the one or the other at a time, merged with a speaker each."""
        sides: list[Side] = []
        async with AsyncExitStack() as stack:
            for number, channel in enumerate(SIDES):
                notices = track_notices(media, request.sound)
                pcm = CountedSamples(decode(media, self._settings, notices, channel), share)
                await stack.enter_async_context(aclosing(pcm))
                own = [item for item in known if item.channel == number]
                work = self._results(windows_of(pcm, request), request, ticket, own)
                sides.append(Side(pcm, notices, await stack.enter_async_context(aclosing(work))))
            async for number, item in by_time([side.results for side in sides]):
                placed = replace(item, channel=number)
                sides[number].placed.append(placed)
                if on_result:
                    on_result(placed, media.duration)
        return await asyncio.to_thread(merged, sides, request)

    async def diarize(self, upload: Upload, speakers: SpeakerOptions, sound: SoundOptions) -> SpeakerTurns:
        """Who speaks when, without a transcript. Raises ModelUnavailable, and the errors of media/."""
        async with self._opener.open(upload, sound) as (media, share):
            pcm = CountedSamples(decode(media, self._settings, channel=sound.channel), share)
            stage = SpeakerStage(speakers, self._settings.whisper_model_dir)
            async with aclosing(stage), aclosing(pcm):
                async for block in pcm:
                    await stage.feed(block)
                return await stage.turns(pcm.samples / SAMPLE_RATE)

    async def known_voice(self, name: str, upload: Upload) -> KnownVoice:
        """The voice of a person in a sample. Raises InvalidParameter, ModelUnavailable, ServiceUnavailable."""
        blocks: list[NDArray[np.int16]] = []
        seconds = 0.0
        try:
            opening = self._opener.open(upload, SoundOptions(), whole=False)
            async with opening as (media, _), aclosing(decode(media, self._settings)) as pcm:
                async for block in pcm:
                    blocks.append(block)
                    seconds += len(block) / SAMPLE_RATE
                    if seconds > LONGEST_SAMPLE:
                        break
        except (ServiceUnavailable, InvalidParameter):
            raise
        except TranscriptionError as error:
            message = f"The sample of '{name}' cannot be used: {error.message}"
            raise InvalidParameter(message, error.detail, REFERENCES) from error
        return await voice_in(name, np.concatenate(blocks), self._settings.whisper_model_dir)

    async def detect_language(self, upload: Upload, request: TranscriptionRequest, ticket: Ticket) -> Detection:
        """The language of the first window with speech, or of the second if it is less doubtful there.

        The file is decoded no further than that. Raises the errors of media/ and of the runner.
        """
        sound = request.sound
        if sound.channel is Channel.SPLIT:
            sound = replace(sound, channel=Channel.MIX)
        options = replace(request.decode, language=None, only_language=True)
        found: list[Detection] = []
        async with self._opener.open(upload, sound, whole=False) as (media, share):
            pcm = CountedSamples(decode(media, self._settings, channel=sound.channel), share)
            windows = windows_of(pcm, request, listen=False)
            async with aclosing(pcm), aclosing(windows):
                async for window in windows:
                    result = await self._runner.transcribe(window, options, ticket)
                    found.append(Detection(result.language, result.language_probability))
                    if len(found) == MOST_DETECTIONS or found[-1].probability >= DOUBTFUL:
                        break
        return max(found, key=lambda detection: detection.probability, default=Detection(UNDETERMINED, 0.0))

    async def _results(
        self,
        windows: AsyncGenerator[Window, None],
        request: TranscriptionRequest,
        ticket: Callable[[], Ticket],
        known: Sequence[PlacedResult],
    ) -> AsyncGenerator[PlacedResult, None]:
        """Results in file order, with up to WINDOWS_IN_FLIGHT windows in the runner."""
        options = request.decoded_with
        engine = await asyncio.to_thread(computed_by, options.model, self._settings)
        reusable = ReusableResults(still_valid(known, engine))
        waiting: deque[_Sent] = deque()
        guess: asyncio.Task[WindowResult] | None = None
        try:
            ahead = Lookahead(windows)
            async with aclosing(windows):
                async for window in ahead:
                    # The first window with a sound determines the language of the rest.
                    first = not options.language and not request.multilingual
                    placed = reusable.result_of(window)
                    if not placed:
                        task = asyncio.create_task(self._decoded(window, options, ticket, guess))
                        waiting.append(_Sent(window.timeline, window.speech, window.voice, task))
                        guess = None
                        if not first and len(waiting) < WINDOWS_IN_FLIGHT:
                            continue
                        if first and (following := await ahead.peek()):
                            guess = asyncio.create_task(self._runner.transcribe(following, options, ticket()))
                        placed = await _first(waiting, engine)
                        if first and guess:
                            placed = await self._confirmed(placed, window, guess, options, ticket)
                    if first and placed.result.language_probability:  # none in digital silence
                        options = replace(options, language=placed.result.language)
                    yield placed
            while waiting:
                yield await _first(waiting, engine)
        finally:
            tasks = [sent.task for sent in waiting] + ([guess] if guess else [])
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _decoded(
        self,
        window: Window,
        options: DecodeOptions,
        ticket: Callable[[], Ticket],
        guess: asyncio.Task[WindowResult] | None,
    ) -> WindowResult:
        """A window in the language of the options. guess: its result, in the language that it seems to be in."""
        if guess:
            guessed = await guess
            if guessed.language == options.language:
                return replace(guessed, language_probability=1.0)  # as if the language had been named
        return await self._runner.transcribe(window, options, ticket())

    async def _confirmed(
        self,
        placed: PlacedResult,
        window: Window,
        guess: asyncio.Task[WindowResult],
        options: DecodeOptions,
        ticket: Callable[[], Ticket],
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
        again = await self._runner.transcribe(window, replace(options, language=second.language), ticket())
        return replace(placed, result=replace(again, language_probability=second.language_probability))


def windows_of(
    pcm: CountedSamples, request: TranscriptionRequest, *, listen: bool = True
) -> AsyncGenerator[Window, None]:
    """The windows that a request is decoded in. listen: see `cut_windows`."""
    longest = longest_window(request.decode.encoder_context)
    return cut_windows(pcm, request.vad, longest=longest, listen=listen)


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


class ReusableResults:
    """Results of an interrupted run, as long as its windows are the same as in this run."""

    def __init__(self, known: Sequence[PlacedResult]) -> None:
        self._left = deque(known)

    def result_of(self, window: Window) -> PlacedResult | None:
        """The result of the next window. Once a window differs, no later result is used."""
        if not self._left or self._left[0].timeline != window.timeline:
            self._left.clear()
            return None
        return replace(self._left.popleft(), speech=window.speech, voice=window.voice)


async def _first(waiting: deque[_Sent], engine: str) -> PlacedResult:
    sent = waiting[0]
    result = await sent.task
    waiting.popleft()
    return PlacedResult(sent.timeline, result, sent.speech, engine, sent.voice)
