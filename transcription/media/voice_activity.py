"""Where a voice is, as Silero detects it: stretches of speech to cut windows from, and the voice in them for times."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from transcription.core.audio import SAMPLE_RATE, Span
from transcription.core.options import VadOptions

Samples = NDArray[np.int16]

CHUNK_SAMPLES = 512  # 32 ms: Silero's resolution
HYSTERESIS = 0.15  # a stretch lasts while the probability is less than this below the threshold,
LEAST_RELEASE = 0.01  # but not if it is below this
# Pauses that count as such, in samples. Shorter ones occur inside words: before a "t" or "k" there is silence.
PAUSE_SAMPLES = SAMPLE_RATE // 5
LEAST_VOICE_SAMPLES = SAMPLE_RATE // 10  # a click fills a chunk or two, a syllable five


@dataclass(frozen=True, slots=True)
class Activity:
    """The speech in a block, in samples of the block, without padding.

    stretches: pauses that are shorter than `VadOptions.min_silence_ms` are part of them.
    voice: pauses from PAUSE_SAMPLES on are not part of it.
    """

    stretches: Sequence[Span]
    voice: Sequence[Span]


Listener = Callable[[Samples, VadOptions], Activity]


def stretches_of(probabilities: Iterable[float], length: int, threshold: float, min_silence: int) -> list[Span]:
    """The stretches of speech in a block of `length` samples, as faster-whisper finds them.

    probabilities: of speech, 0..1, one a chunk. threshold: probability from which a stretch starts, 0..1. min_silence:
    samples without speech that end it.
    """
    release = max(threshold - HYSTERESIS, LEAST_RELEASE)
    found = []
    start: int | None = None
    pause: int | None = None  # start of the silence that may be the end
    for index, probability in enumerate(probabilities):
        position = index * CHUNK_SAMPLES
        if probability >= threshold:
            start, pause = position if start is None else start, None
        elif probability < release and start is not None:
            pause = position if pause is None else pause
            if position - pause >= min_silence:
                found.append(Span(start, pause - start))
                start = pause = None
    if start is not None and start < length:
        found.append(Span(start, length - start))
    return found


def bridged(spans: Iterable[Span]) -> list[Span]:
    """The spans, joined where the pause between them is shorter than PAUSE_SAMPLES."""
    joined: list[Span] = []
    for span in spans:
        if joined and span.start - joined[-1].end < PAUSE_SAMPLES:
            span = Span(joined[-1].start, span.end - joined.pop().start)
        joined.append(span)
    return joined


def without_clicks(spans: Iterable[Span]) -> list[Span]:
    """The spans that are long enough for a voice."""
    return [span for span in spans if span.length >= LEAST_VOICE_SAMPLES]
