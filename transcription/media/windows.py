"""PCM blocks to windows: stretches of speech, cut at silences and packed into windows of at most 15 or 30 s.

For a file that fits in one block of analysis, the stretches are exactly faster-whisper's. If they also fit in one
window, it is sample for sample what `WhisperModel.transcribe(vad_filter=True)` decodes. Neither holds for a recording
with a constant offset, which is taken away first, see `centre`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import numpy as np

from transcription.core.audio import INT16_SCALE, SAMPLE_RATE, WINDOW_SAMPLES, Span, Timeline, Window
from transcription.core.options import EncoderContext, VadOptions
from transcription.media.voice_activity import CHUNK_SAMPLES, Activity, Listener, Samples
from transcription.media.voice_stream import listen_with_silero
from transcription.system.thread_priority import lower_priority
from transcription.telemetry.tracing import VAD, traced

BLOCK_SAMPLES = 60 * SAMPLE_RATE  # audio analysed at once
# Longest window where the encoder sees no more than it needs: its time grows faster than its input, and the windows of
# one file can be decoded at once. Shorter ones cost words at their borders.
SHORT_WINDOW_SAMPLES = 15 * SAMPLE_RATE
SEARCH_SAMPLES = 5 * SAMPLE_RATE  # speech without pauses is cut within the last 5 s of a full window,
QUIET_SAMPLES = SAMPLE_RATE // 10  # at the quietest 100 ms
LOUD = INT16_SCALE / 2  # level that very quiet recordings are amplified to
LOUD_PERCENTILE = 99.9  # of the samples' magnitudes, taken as the level of a recording, so that a click does not count
MIN_GAIN = 8.0  # 18 dB. Silero needs no less: it detects speech down to about 30 dB below LOUD as well as louder speech
MAX_GAIN = 100.0  # 40 dB
MIN_OFFSET = 16  # of the samples in a block; the median of ordinary recordings is nearer to 0

# One thread for all requests: one analyses 300 s of audio per second, and each that runs holds memory.
_VAD_THREAD = ThreadPoolExecutor(max_workers=1, thread_name_prefix="vad", initializer=lower_priority)


def longest_window(context: EncoderContext) -> int:
    """The length of a window, at most, in samples. With a full context windows are those of faster-whisper."""
    return WINDOW_SAMPLES if context is EncoderContext.FULL else SHORT_WINDOW_SAMPLES


async def cut_windows(
    pcm: AsyncIterable[Samples],
    vad: VadOptions,
    listener: Listener = listen_with_silero,
    *,
    longest: int = WINDOW_SAMPLES,
    listen: bool = True,
) -> AsyncGenerator[Window, None]:
    """Windows in file order. Every sample of speech is in exactly one of them; without `vad`, every sample is.

    pcm: blocks of any length, int16, 16 kHz mono.
    listener: finds the speech in a block.
    longest: length of a window, at most, in samples.
    listen: detect where speech is in each window even if `vad` is off, see `Window.speech` and `Window.voice`.
    """
    packer = WindowPacker(longest)
    stream = aiter(pcm)
    buffer = np.empty(0, np.int16)
    offset = 0  # index of the buffer's first sample in the file
    ended = False
    while not ended:
        fresh, ended = await _read(stream, BLOCK_SAMPLES)
        with traced(VAD, seconds=sum(map(len, (buffer, *fresh))) / SAMPLE_RATE):
            loop = asyncio.get_running_loop()
            buffer, kept, activity = await loop.run_in_executor(
                _VAD_THREAD, analyse, listener, buffer, fresh, vad, listen
            )
        del fresh  # or a recording holds its sound twice while its windows wait
        spans = [part for span in kept for part in split(buffer, span, longest)]
        settled, rest = (spans, len(buffer)) if ended else settle(spans, len(buffer), vad)
        for span in settled:
            inside = activity and activity_in(span, activity, offset)
            for window in packer.add(offset + span.start, buffer[span.start : span.end], inside):
                yield window
        buffer = buffer[rest:]
        offset += rest
    for window in packer.flush():
        yield window


async def _read(stream: AsyncIterator[Samples], least: int) -> tuple[list[Samples], bool]:
    """Blocks with at least `least` samples together, fewer at the end; and whether the stream has ended."""
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
    listener: Listener, rest: Samples, fresh: Sequence[Samples], vad: VadOptions, listen: bool
) -> tuple[Samples, Sequence[Span], Activity | None]:
    """A block, the spans of it that go into windows, and the activity in it, or None unless `listen`.

    rest, fresh: the block is the rest of the one before, and new samples, which are centred first. The spans and the
    activity are found after very quiet recordings were amplified.
    """
    samples = np.concatenate((rest, centre(np.concatenate((rest[:0], *fresh)))))
    if not (vad.enabled or listen):
        return samples, everything(samples), None
    found = listener(amplify(samples), vad)
    kept = pad(found.stretches, len(samples), vad) if vad.enabled else everything(samples)
    return samples, kept, found if listen else None


def pad(speech: Sequence[Span], length: int, vad: VadOptions) -> list[Span]:
    """Add padding to the speech in a block of `length` samples, exactly as faster-whisper does.

    A gap that is too short for the padding of both its neighbours is divided between them.
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
    """The samples, amplified if very quiet: Silero misses quiet speech that the model can transcribe."""
    loudest = np.percentile(np.abs(samples.astype(np.int32)), LOUD_PERCENTILE) if len(samples) else LOUD
    gain = min(MAX_GAIN, LOUD / max(1.0, float(loudest)))
    if gain < MIN_GAIN:
        return samples
    louder: Samples = np.clip(samples * np.float32(gain), -INT16_SCALE, INT16_SCALE - 1).astype(np.int16)
    return louder


def centre(samples: Samples) -> Samples:
    """The samples without a constant offset, as of a bad sound card, beside which neither detector nor model hears."""
    offset = round(float(np.median(samples))) if len(samples) else 0
    if abs(offset) < MIN_OFFSET:
        return samples
    centred: Samples = np.clip(samples.astype(np.int32) - offset, -INT16_SCALE, INT16_SCALE - 1).astype(np.int16)
    return centred


def everything(samples: Samples) -> list[Span]:
    """The whole block, as if all of it were speech."""
    return [Span(0, len(samples))] if len(samples) else []


def clip(speech: Sequence[Span], part: Span) -> Iterator[Span]:
    """The speech inside `part`."""
    for span in speech:
        start, end = max(span.start, part.start), min(span.end, part.end)
        if start < end:
            yield Span(start, end - start)


def shift(spans: Iterable[Span], offset: int) -> tuple[Span, ...]:
    """Spans of a block as spans of the file. offset: index of the block's first sample in the file."""
    return tuple(Span(offset + span.start, span.length) for span in spans)


def activity_in(part: Span, block: Activity, offset: int) -> Activity:
    """The activity in a part of a block, in samples of the file. offset: as for `shift`."""
    return Activity(shift(clip(block.stretches, part), offset), shift(clip(block.voice, part), offset))


def join_spans(parts: Iterable[Sequence[Span] | None]) -> tuple[Span, ...] | None:
    """The spans of all parts; None if they are unknown for one of them."""
    joined: list[Span] = []
    for part in parts:
        if part is None:
            return None
        joined += part
    return tuple(joined)


def settle(spans: Sequence[Span], length: int, vad: VadOptions) -> tuple[Sequence[Span], int]:
    """The final spans of a block of `length` samples that is not the last.

    Returns the spans that later audio cannot change, and the index of the first sample to analyse again with the next
    block. The last span is not final while the silence after it is too short to end speech.
    """
    padding = vad.speech_pad_ms * SAMPLE_RATE // 1000
    silence = vad.min_silence_ms * SAMPLE_RATE // 1000
    if not spans:
        return [], max(0, length - padding - CHUNK_SAMPLES)
    last = spans[-1]
    end = last.end
    if vad.enabled and end - padding + silence + CHUNK_SAMPLES <= length:
        return spans, max(end, length - padding - CHUNK_SAMPLES)
    return spans[:-1], last.start


def split(samples: Samples, span: Span, longest: int = WINDOW_SAMPLES) -> Iterator[Span]:
    """Cut a span into parts of at most `longest` samples, at the quietest moments."""
    start, end = span.start, span.end
    while end - start > longest:
        cut = start + quietest_moment(samples[start : start + longest])
        yield Span(start, cut - start)
        start = cut
    yield Span(start, end - start)


def quietest_moment(samples: Samples) -> int:
    """Index of the middle of the 100 ms with the least energy in the last 5 s of `samples`."""
    first = len(samples) - SEARCH_SAMPLES
    frames = samples[first : first + SEARCH_SAMPLES // QUIET_SAMPLES * QUIET_SAMPLES].astype(np.float64)
    energy = (frames.reshape(-1, QUIET_SAMPLES) ** 2).sum(axis=1)
    return first + int(energy.argmin()) * QUIET_SAMPLES + QUIET_SAMPLES // 2


class WindowPacker:
    """Packs spans of audio into windows of at most `longest` samples in order, as many as fit without cutting one."""

    def __init__(self, longest: int = WINDOW_SAMPLES) -> None:
        self._longest = longest
        self._spans: list[Span] = []
        self._samples: list[Samples] = []
        self._activity: list[Activity | None] = []
        self._length = 0

    def add(self, start: int, samples: Samples, activity: Activity | None = None) -> Iterator[Window]:
        """Add a span of at most one window. Yields the current window if the span does not fit in it.

        start: index of its first sample in the file. activity: in the span, in samples of the file; None if unknown.
        """
        if self._length + len(samples) > self._longest:
            yield from self.flush()
        self._spans.append(Span(start, len(samples)))
        self._samples.append(samples)
        self._activity.append(activity)
        self._length += len(samples)

    def flush(self) -> Iterator[Window]:
        """Yield the current window unless it is empty."""
        if not self._length:
            return
        speech = join_spans(None if each is None else each.stretches for each in self._activity)
        voice = join_spans(None if each is None else each.voice for each in self._activity)
        yield Window(np.concatenate(self._samples), Timeline(tuple(self._spans)), speech, voice)
        self._spans, self._samples, self._activity, self._length = [], [], [], 0
