"""One accepted file in, one transcript out; the only place that knows the order of the steps."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from guard import judge
from media.decode import decode
from media.probe import probe
from media.upload import Upload
from media.windows import cut_windows, join_speech
from runners.interface import Runner
from settings import Settings
from tracing import PROBE, traced
from transcript import (
    SAMPLE_RATE,
    DecodeOptions,
    HallucinationPolicy,
    Segment,
    Span,
    Ticket,
    Timeline,
    Transcript,
    VadOptions,
    Window,
    WindowResult,
    Word,
)

# Enough to keep every slot of a large GPU batch fed, and 16 x 0.96 MB a request.
WINDOWS_IN_FLIGHT = 16
UNDETERMINED_LANGUAGE = "und"  # ISO 639-2, when nobody spoke
FRAMES_PER_SECOND = 100  # Whisper's log-mel frames, one every 10 ms

JUDGED_TOGETHER = 4  # windows of a draft, two minutes: loops of the decoder are denser than that

OnResult = Callable[["PlacedResult", float | None], None]


@dataclass(frozen=True, slots=True)
class TranscriptionRequest:
    """What a caller asks of a file.

    multilingual: the language is detected for every window, not for the first alone; `decode` names none then.
    """

    decode: DecodeOptions
    vad: VadOptions
    multilingual: bool = False
    hallucinations: HallucinationPolicy = HallucinationPolicy.DROP


@dataclass(frozen=True, slots=True)
class PlacedResult:
    """A window's result, where that window stands in the file, and `Window.speech`."""

    timeline: Timeline
    result: WindowResult
    speech: tuple[Span, ...] | None = None


@dataclass(frozen=True, slots=True)
class _Sent:
    """A window in the runner, without its samples."""

    timeline: Timeline
    speech: tuple[Span, ...] | None
    task: asyncio.Task[WindowResult]


@dataclass(frozen=True, slots=True)
class Detection:
    """The language of a file, "und" when nobody speaks. probability: 0..1."""

    language: str
    probability: float


class Pipeline:
    """Takes accepted uploads through probe, decoder, windows and runner."""

    def __init__(self, settings: Settings, runner: Runner) -> None:
        self._settings = settings
        self._runner = runner

    async def transcribe(
        self,
        upload: Upload,
        request: TranscriptionRequest,
        ticket: Callable[[], Ticket],
        known: Sequence[PlacedResult] = (),
        on_result: OnResult | None = None,
    ) -> Transcript:
        """The whole file as one transcript.

        ticket: asked for every window that is sent, since who waits may change meanwhile.
        known: what an earlier, interrupted run of the same file and request obtained, from the first window on.
        on_result: called for every window in file order, known ones too, with the file's seconds (None if unknown).
        Raises the errors of media/ and of the runner. Cancelling it kills the decoder and takes queued windows back.
        """
        started = time.perf_counter()
        with traced(PROBE):
            media = await probe(upload, self._settings)
        heard = SampleCount(decode(media, self._settings))
        placed: list[PlacedResult] = []
        windows = cut_windows(heard, request.vad, listen=request.hallucinations is not HallucinationPolicy.KEEP)
        # The decoder is ended here: `windows` leaves it to the garbage collector, which may take its time.
        async with aclosing(heard), aclosing(self._results(windows, request, ticket, known)) as results:
            async for item in results:
                placed.append(item)
                if on_result:
                    on_result(item, media.duration)
        transcript = judged(placed, request, heard.samples / SAMPLE_RATE)
        return replace(transcript, processing_time=time.perf_counter() - started)

    async def detect_language(self, upload: Upload, request: TranscriptionRequest, ticket: Ticket) -> Detection:
        """The language of the first window with speech, and nothing else.

        Raises the errors of media/ and of the runner. No more of the file is decoded than that takes.
        """
        media = await probe(upload, self._settings)
        heard = SampleCount(decode(media, self._settings))
        options = replace(request.decode, language=None, only_language=True)
        windows = cut_windows(heard, request.vad, listen=False)
        async with aclosing(heard), aclosing(windows):
            async for window in windows:
                result = await self._runner.transcribe(window, options, ticket)
                return Detection(result.language, result.language_probability)
        return Detection(UNDETERMINED_LANGUAGE, 0.0)

    async def _results(
        self,
        windows: AsyncGenerator[Window, None],
        request: TranscriptionRequest,
        ticket: Callable[[], Ticket],
        known: Sequence[PlacedResult],
    ) -> AsyncGenerator[PlacedResult, None]:
        """Results in file order, with up to WINDOWS_IN_FLIGHT windows ahead of them in the runner."""
        options = request.decode
        earlier = Earlier(known)
        waiting: deque[_Sent] = deque()
        try:
            async with aclosing(windows):
                async for window in windows:
                    # The first window tells the language of the rest, so nothing is sent beside it.
                    alone = not options.language and not request.multilingual
                    placed = earlier.result_of(window)
                    if not placed:
                        task = asyncio.create_task(self._runner.transcribe(window, options, ticket()))
                        waiting.append(_Sent(window.timeline, window.speech, task))
                        if not alone and len(waiting) < WINDOWS_IN_FLIGHT:
                            continue
                        placed = await _first(waiting)
                    if alone:
                        options = replace(options, language=placed.result.language)
                    yield placed
            while waiting:
                yield await _first(waiting)
        finally:
            tasks = [sent.task for sent in waiting]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


class Earlier:
    """Results of an interrupted run, given out while its windows are those of this run."""

    def __init__(self, known: Sequence[PlacedResult]) -> None:
        self._left = deque(known)

    def result_of(self, window: Window) -> PlacedResult | None:
        """The result of the next window. Once one differs, nothing that comes behind it is of use."""
        if not self._left or self._left[0].timeline != window.timeline:
            self._left.clear()
            return None
        return replace(self._left.popleft(), speech=window.speech)


class SampleCount:
    """PCM blocks as they come, counted on their way: the decoder knows the true length, the container may lie."""

    def __init__(self, pcm: AsyncGenerator[NDArray[np.int16], None]) -> None:
        self._pcm = pcm
        self.samples = 0

    def __aiter__(self) -> AsyncIterator[NDArray[np.int16]]:
        return self

    async def __anext__(self) -> NDArray[np.int16]:
        block = await anext(self._pcm)
        self.samples += len(block)
        return block

    async def aclose(self) -> None:
        await self._pcm.aclose()


async def _first(waiting: deque[_Sent]) -> PlacedResult:
    sent = waiting[0]
    result = await sent.task
    waiting.popleft()
    return PlacedResult(sent.timeline, result, sent.speech)


def judged(placed: Sequence[PlacedResult], request: TranscriptionRequest, duration: float) -> Transcript:
    """Window results in file order as one transcript, without what nobody seems to have said. duration: seconds."""
    transcript = assemble(placed, request, duration)
    speech = join_speech(item.speech for item in placed)
    unspoken = [place(segment, item.timeline) for item in placed for segment in item.result.unspoken]
    return judge(transcript, unspoken, speech, request.decode, request.hallucinations)


class Draft:
    """A transcript as it grows, for readers who cannot wait. What was given out once is not taken back.

    A window is judged with the few before it, which bounds the work for each. The end, which sees all, may judge
    differently: what comes too often is surplus from its last turns on.
    """

    def __init__(self, request: TranscriptionRequest) -> None:
        self._request = request
        self._placed: deque[PlacedResult] = deque(maxlen=JUDGED_TOGETHER)

    def add(self, placed: PlacedResult) -> list[Segment]:
        """The next window's result; the segments that are new."""
        self._placed.append(placed)
        segments = judged(list(self._placed), self._request, placed.timeline.end).segments
        return [segment for segment in segments if segment.start >= placed.timeline.start]


def assemble(placed: Sequence[PlacedResult], request: TranscriptionRequest, duration: float) -> Transcript:
    """Window results in file order as one transcript in file time.

    duration: seconds of audio decoded.
    """
    options = request.decode
    segments = [place(segment, item.timeline) for item in placed for segment in item.result.segments]
    language, probability = options.language or UNDETERMINED_LANGUAGE, 1.0 if options.language else 0.0
    if placed:
        first = placed[0].result
        detected = first.language, first.language_probability
        language, probability = main_language(placed) if request.multilingual else detected
    return Transcript(
        language=language,
        language_probability=probability,
        duration=duration,
        segments=tuple(segments),
        model=options.model,
        task=options.task,
        word_timestamps=options.word_timestamps,
    )


def main_language(placed: Sequence[PlacedResult]) -> tuple[str, float]:
    """The language that is spoken longest, and how sure the model is of it on average; of two equals the earlier.

    placed: never empty, each window with the language that was detected in it.
    """
    # The language of a window without speech is a guess, unless nobody listened for speech or there is none anywhere.
    spoken = [sum(span.length for span in item.speech or ()) for item in placed]
    weights = spoken if any(spoken) else [item.timeline.length for item in placed]
    totals: dict[str, int] = {}
    certainty: dict[str, float] = {}
    for item, weight in zip(placed, weights, strict=True):
        language = item.result.language
        totals[language] = totals.get(language, 0) + weight
        certainty[language] = certainty.get(language, 0.0) + weight * item.result.language_probability
    longest = max(totals, key=lambda language: totals[language])
    return longest, certainty[longest] / totals[longest]


def place(segment: Segment, timeline: Timeline) -> Segment:
    """A segment from window time to file time, as faster-whisper restores it after voice activity detection."""
    seek = segment.seek + round(timeline.start * FRAMES_PER_SECOND)
    if not segment.words:
        start = timeline.file_time(segment.start)
        end = timeline.file_time(segment.end, is_end=True)
        return replace(segment, start=start, end=end, seek=seek)
    words = tuple(_place_word(word, timeline) for word in segment.words)
    return replace(segment, start=words[0].start, end=words[-1].end, words=words, seek=seek)


def _place_word(word: Word, timeline: Timeline) -> Word:
    # A word never straddles a cut silence: both its ends go with its middle.
    span = timeline.span_at((word.start + word.end) / 2)
    return replace(word, start=timeline.file_time(word.start, span=span), end=timeline.file_time(word.end, span=span))
