"""PCM blocks in, windows out: speech cut at silences and packed into at most 30 s.

For a file that fits in one block of analysis, the spans of speech are exactly faster-whisper's, and when they fit in
one window, that window is sample for sample what `WhisperModel.transcribe(vad_filter=True)` decodes.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import numpy as np
from faster_whisper.vad import VadOptions as SileroOptions
from faster_whisper.vad import get_speech_timestamps
from numpy.typing import NDArray

from transcription.core.audio import SAMPLE_RATE, WINDOW_SAMPLES, Span, Timeline, Window
from transcription.core.options import VadOptions
from transcription.system.thread_priority import lower_priority
from transcription.telemetry.tracing import VAD, traced

Samples = NDArray[np.int16]
SpeechFinder = Callable[[Samples, VadOptions], Sequence[Span]]

BLOCK_SAMPLES = 60 * SAMPLE_RATE  # how much audio is analysed at once; Silero needs about 1 MB a second of it
SEARCH_SAMPLES = 5 * SAMPLE_RATE  # speech without pauses is cut in the last 5 s of its 30
QUIET_SAMPLES = SAMPLE_RATE // 10  # at the quietest 100 ms there
ANALYSIS_STEP = 512  # Silero's resolution, 32 ms
INT16_SCALE = 32768.0
LOUD = INT16_SCALE / 2  # what very quiet recordings are brought up to
LOUD_PERCENTILE = 99.9  # of the samples' magnitudes is how loud a recording is; a click does not count
LEAST_GAIN = 8.0  # 18 dB. Silero hears speech down to about 30 dB below LOUD as well as louder speech
MOST_GAIN = 100.0  # 40 dB

# One thread for all requests: each thread that runs Silero holds its own 60 MB, and one of them hears 300 s a second.
_ANALYST = ThreadPoolExecutor(max_workers=1, thread_name_prefix="vad", initializer=lower_priority)


async def cut_windows(
    pcm: AsyncIterable[Samples],
    vad: VadOptions,
    find_speech: SpeechFinder | None = None,
    *,
    listen: bool = True,
) -> AsyncGenerator[Window, None]:
    """Windows in file order; every sample of speech is in exactly one of them, and every sample when `vad` is off.

    find_speech: decides what is speech in a block, without padding; by default Silero.
    listen: whether windows tell where speech is in them.
    """
    find = find_speech or find_silero_speech
    packer = WindowPacker()
    stream = aiter(pcm)
    buffer = np.empty(0, np.int16)
    offset = 0  # of the buffer's first sample in the file
    ended = False
    while not ended:
        fresh, ended = await _read(stream, BLOCK_SAMPLES)
        buffer = np.concatenate((buffer, *fresh))
        with traced(VAD, seconds=len(buffer) / SAMPLE_RATE):
            loop = asyncio.get_running_loop()
            kept, speech = await loop.run_in_executor(_ANALYST, analyse, find, buffer, vad, listen)
        spans = [part for span in kept for part in split(buffer, span)]
        settled, rest = (spans, len(buffer)) if ended else settle(spans, len(buffer), vad)
        for span in settled:
            heard = None if speech is None else shift(clip(speech, span), offset)
            for window in packer.add(offset + span.start, buffer[span.start : span.end], heard):
                yield window
        buffer = buffer[rest:]
        offset += rest
    for window in packer.flush():
        yield window


async def _read(stream: AsyncIterator[Samples], least: int) -> tuple[list[Samples], bool]:
    """At least `least` samples, or what is left; whether the stream ended."""
    blocks: list[Samples] = []
    length = 0
    while length < least:
        try:
            block = await anext(stream)
        except StopAsyncIteration:
            return blocks, True
        blocks.append(block)
        length += len(block)
    return blocks, False


def analyse(
    find: SpeechFinder, samples: Samples, vad: VadOptions, listen: bool
) -> tuple[Sequence[Span], Sequence[Span] | None]:
    """What of a block goes into windows, and where in it speech is, or None unless we are to listen.

    The first are faster-whisper's spans. The second has no padding, and quiet recordings are amplified for it.
    """
    found = find(samples, vad) if vad.enabled else ()
    kept = pad(found, len(samples), vad) if vad.enabled else everything(samples)
    if not listen:
        return kept, None
    louder = amplify(samples)
    return kept, found if vad.enabled and louder is samples else find(louder, vad)


def find_silero_speech(samples: Samples, vad: VadOptions) -> list[Span]:
    """Speech in a block as Silero hears it, without padding. samples: int16, shape (n,), 16 kHz."""
    if not len(samples):
        return []
    options = SileroOptions(threshold=vad.threshold, min_silence_duration_ms=vad.min_silence_ms, speech_pad_ms=0)
    found = get_speech_timestamps(samples.astype(np.float32) / INT16_SCALE, options)
    return [Span(chunk["start"], chunk["end"] - chunk["start"]) for chunk in found if chunk["end"] > chunk["start"]]


def pad(speech: Sequence[Span], length: int, vad: VadOptions) -> list[Span]:
    """Speech in a block of `length` samples with its padding, to the sample as faster-whisper adds it.

    Neighbours share a gap that is too small for the padding of both.
    """
    if not speech:
        return []
    padding = vad.speech_pad_ms * SAMPLE_RATE // 1000
    gaps = [later.start - earlier.end for earlier, later in pairwise(speech)]
    room = [speech[0].start, *(gap // 2 for gap in gaps), length - speech[-1].end]
    added = [min(padding, samples) for samples in room]
    return [
        Span(span.start - before, before + span.length + after)
        for span, (before, after) in zip(speech, pairwise(added), strict=True)
    ]


def amplify(samples: Samples) -> Samples:
    """The samples, made louder if they are very quiet: Silero is deaf to quiet speech that the model understands."""
    loudest = np.percentile(np.abs(samples.astype(np.int32)), LOUD_PERCENTILE) if len(samples) else LOUD
    gain = min(MOST_GAIN, LOUD / max(1.0, float(loudest)))
    if gain < LEAST_GAIN:
        return samples
    louder: Samples = np.clip(samples * np.float32(gain), -INT16_SCALE, INT16_SCALE - 1).astype(np.int16)
    return louder


def everything(samples: Samples) -> list[Span]:
    """The whole block, for callers who do not want anything left out."""
    return [Span(0, len(samples))] if len(samples) else []


def clip(speech: Sequence[Span], part: Span) -> Iterator[Span]:
    """What of the speech lies inside `part`."""
    for span in speech:
        start, end = max(span.start, part.start), min(span.end, part.end)
        if start < end:
            yield Span(start, end - start)


def shift(spans: Iterable[Span], offset: int) -> list[Span]:
    """Spans of a block that starts at sample `offset` of the file, as spans of the file."""
    return [Span(offset + span.start, span.length) for span in spans]


def join_speech(parts: Iterable[Sequence[Span] | None]) -> tuple[Span, ...] | None:
    """What was heard in all parts together; None as soon as nobody listened to one of them."""
    joined: list[Span] = []
    for part in parts:
        if part is None:
            return None
        joined += part
    return tuple(joined)


def settle(spans: Sequence[Span], length: int, vad: VadOptions) -> tuple[Sequence[Span], int]:
    """What is certain about a block of `length` samples that is not the last.

    Returns the spans that later audio cannot change, and the first sample to look at again together with it. The last
    span stays open while the silence after it is shorter than the one that ends speech.
    """
    padding = vad.speech_pad_ms * SAMPLE_RATE // 1000
    silence = vad.min_silence_ms * SAMPLE_RATE // 1000
    if not spans:
        return [], max(0, length - padding - ANALYSIS_STEP)
    last = spans[-1]
    end = last.end
    if vad.enabled and end - padding + silence + ANALYSIS_STEP <= length:
        return spans, max(end, length - padding - ANALYSIS_STEP)
    return spans[:-1], last.start


def split(samples: Samples, span: Span) -> Iterator[Span]:
    """A span in parts of at most one window, cut at the quietest moments."""
    start, end = span.start, span.end
    while end - start > WINDOW_SAMPLES:
        cut = start + quietest_moment(samples[start : start + WINDOW_SAMPLES])
        yield Span(start, cut - start)
        start = cut
    yield Span(start, end - start)


def quietest_moment(samples: Samples) -> int:
    """Middle of the 100 ms with the least energy in the last 5 s, as an index into `samples`."""
    first = len(samples) - SEARCH_SAMPLES
    frames = samples[first : first + SEARCH_SAMPLES // QUIET_SAMPLES * QUIET_SAMPLES].astype(np.float64)
    energy = (frames.reshape(-1, QUIET_SAMPLES) ** 2).sum(axis=1)
    return first + int(energy.argmin()) * QUIET_SAMPLES + QUIET_SAMPLES // 2


class WindowPacker:
    """Fills windows with spans of audio in order, as full as they get without cutting a span."""

    def __init__(self) -> None:
        self._spans: list[Span] = []
        self._samples: list[Samples] = []
        self._speech: list[Sequence[Span] | None] = []
        self._length = 0

    def add(self, start: int, samples: Samples, speech: Sequence[Span] | None = None) -> Iterator[Window]:
        """Take a span of at most one window; yields the window before it when the span did not fit.

        start: its first sample in the file. speech: what in it is speech, as samples of the file, or None if unknown.
        """
        if self._length + len(samples) > WINDOW_SAMPLES:
            yield from self.flush()
        self._spans.append(Span(start, len(samples)))
        self._samples.append(samples)
        self._speech.append(speech)
        self._length += len(samples)

    def flush(self) -> Iterator[Window]:
        """The window that is being filled, if there is anything in it."""
        if not self._length:
            return
        yield Window(np.concatenate(self._samples), Timeline(tuple(self._spans)), join_speech(self._speech))
        self._spans, self._samples, self._speech, self._length = [], [], [], 0
