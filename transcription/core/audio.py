"""Audio as Whisper sees it: sample rate, frames, stretches of samples, windows, and time inside them."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray

SAMPLE_RATE = 16_000  # Hz, what Whisper was trained on
WINDOW_SECONDS = 30  # what Whisper's encoder sees at once
WINDOW_SAMPLES = WINDOW_SECONDS * SAMPLE_RATE  # 480 000


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of speech taken from a file: its first sample there, and how many samples."""

    start: int
    length: int

    @property
    def end(self) -> int:
        """The sample after the last one."""
        return self.start + self.length


@dataclass(frozen=True, slots=True)
class Timeline:
    """Maps times inside a window, whose silences were cut out, back to times in the file.

    spans: in file order, never empty, laid end to end inside the window.
    """

    spans: tuple[Span, ...]

    @property
    def start(self) -> float:
        """Where the window's first sample stands in the file, seconds."""
        return self.spans[0].start / SAMPLE_RATE

    @property
    def end(self) -> float:
        """Where its last sample stands in the file, seconds."""
        return self.spans[-1].end / SAMPLE_RATE

    @property
    def length(self) -> int:
        """Samples in the window."""
        return sum(span.length for span in self.spans)

    def span_at(self, time: float, *, is_end: bool = False) -> int:
        """Index of the span that plays at `time` in the window.

        A time on the border of two spans belongs to the later one, unless it ends something.
        """
        ends = list(accumulate(span.length for span in self.spans))
        sample = int(time * SAMPLE_RATE)
        if is_end and sample in ends:
            return ends.index(sample)
        return min(bisect_right(ends, sample), len(ends) - 1)

    def file_time(self, time: float, *, is_end: bool = False, span: int | None = None) -> float:
        """`time` in the window as a time in the file, seconds, rounded to 10 ms.

        span: forces the span, so that both ends of a word stay together.
        """
        index = self.span_at(time, is_end=is_end) if span is None else span
        before = sum(s.length for s in self.spans[:index])
        return round((self.spans[index].start - before) / SAMPLE_RATE + time, 2)


@dataclass(frozen=True, slots=True, eq=False)
class Window:
    """At most 30 s of speech, cut at silences.

    samples: int16, shape (n,), 16 kHz mono, 0 < n <= WINDOW_SAMPLES.
    timeline: where those samples stand in the file; covers exactly n samples.
    speech: where a voice was heard in them, without padding, as samples of the file; None when nobody listened.
    """

    samples: NDArray[np.int16]
    timeline: Timeline
    speech: tuple[Span, ...] | None = None

    @property
    def duration(self) -> float:
        return len(self.samples) / SAMPLE_RATE
