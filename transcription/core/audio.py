"""The signal: its constants, stretches of samples, and windows with their time in the file."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # the command reads constants here, and has no samples
    import numpy as np
    from numpy.typing import NDArray

SAMPLE_RATE = 16_000  # Hz, the rate Whisper was trained on
INT16_SCALE = 32_768.0  # full scale: int16 samples divided by it are in -1..1
WINDOW_SECONDS = 30  # length of the encoder's input
WINDOW_SAMPLES = WINDOW_SECONDS * SAMPLE_RATE  # 480,000

HOP_LENGTH = 160  # samples between two frames of the log-mel spectrogram
FRAMES_PER_SECOND = SAMPLE_RATE // HOP_LENGTH  # 100, one every 10 ms
ENCODER_FRAMES = WINDOW_SECONDS * FRAMES_PER_SECOND  # 3,000: the encoder's input, padded if shorter
FRAMES_PER_TIMESTAMP = 2  # timestamp tokens are 20 ms apart


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of samples. start: index of its first sample, in the file unless stated otherwise. length: samples."""

    start: int
    length: int

    @property
    def end(self) -> int:
        """Index of the sample after the last one."""
        return self.start + self.length


@dataclass(frozen=True, slots=True)
class Timeline:
    """Maps times in a window, from which silences were cut, back to times in the file.

    spans: the stretches of the file that the window consists of, in order, without gaps in the window; never empty.
    """

    spans: tuple[Span, ...]

    @property
    def start(self) -> float:
        """Time of the window's first sample in the file, in seconds."""
        return self.spans[0].start / SAMPLE_RATE

    @property
    def end(self) -> float:
        """Time of the end of the window's last sample in the file, in seconds."""
        return self.spans[-1].end / SAMPLE_RATE

    @property
    def length(self) -> int:
        """Number of samples in the window."""
        return sum(span.length for span in self.spans)

    def span_at(self, time: float, *, is_end: bool = False) -> int:
        """Index of the span at `time` in the window, in seconds.

        A time on the border of two spans belongs to the later span; with `is_end`, the end of a segment or word, it
        belongs to the earlier one.
        """
        ends = list(accumulate(span.length for span in self.spans))
        sample = int(time * SAMPLE_RATE)
        if is_end and sample in ends:
            return ends.index(sample)
        return min(bisect_right(ends, sample), len(ends) - 1)

    def file_time(self, time: float, *, is_end: bool = False, span: int | None = None) -> float:
        """`time` in the window as a time in the file, both in seconds, rounded to 10 ms.

        is_end: as for `span_at`. span: index of the span to use, so that both ends of a word are in the same one.
        """
        index = self.span_at(time, is_end=is_end) if span is None else span
        before = sum(s.length for s in self.spans[:index])
        return round((self.spans[index].start - before) / SAMPLE_RATE + time, 2)


@dataclass(frozen=True, slots=True, eq=False)
class Window:
    """At most 30 s of speech, cut at silences.

    samples: int16, shape (n,), 16 kHz mono, 0 < n <= WINDOW_SAMPLES.
    timeline: where the samples are in the file; covers exactly n samples.
    speech: stretches of speech in them, without padding, as samples of the file; None if not detected.
    voice: the same, but without the pauses inside a stretch.
    """

    samples: NDArray[np.int16]
    timeline: Timeline
    speech: tuple[Span, ...] | None = None
    voice: tuple[Span, ...] | None = None

    @property
    def duration(self) -> float:
        """Seconds."""
        return len(self.samples) / SAMPLE_RATE
