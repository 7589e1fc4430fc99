"""The data that travels from step to step: media, windows, window results, transcripts.

Nothing here does I/O or imports another module of ours. Times are seconds unless a name says otherwise.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from dataclasses import dataclass
from enum import StrEnum
from itertools import accumulate
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

SAMPLE_RATE = 16_000  # Hz, what Whisper was trained on
WINDOW_SECONDS = 30  # what Whisper's encoder sees at once
WINDOW_SAMPLES = WINDOW_SECONDS * SAMPLE_RATE  # 480 000


class Task(StrEnum):
    """What the decoder is asked for."""

    TRANSCRIBE = "transcribe"
    TRANSLATE = "translate"


class Priority(StrEnum):
    """Who waits for the answer: a person holding a connection, or a stored job."""

    INTERACTIVE = "interactive"
    BACKGROUND = "background"


class HallucinationPolicy(StrEnum):
    """What happens to segments that nobody seems to have said."""

    MARK = "mark"
    DROP = "drop"
    KEEP = "keep"


class Reason(StrEnum):
    """Why a segment is taken for a hallucination; `guard.py` has the rules."""

    REPETITION = "repetition"
    COMPRESSION_RATIO = "compression_ratio"
    NO_VOICE = "no_voice"
    LOW_CONFIDENCE = "low_confidence"
    NO_SPEECH = "no_speech"


class Action(StrEnum):
    """What was done about a segment."""

    MARKED = "marked"
    DROPPED = "dropped"


@dataclass(frozen=True, slots=True)
class Media:
    """An accepted upload on disk, as the probe found it.

    demuxer: ffmpeg's name of the container format, passed back to ffmpeg so that it never guesses again.
    duration: what the container claims, or None when it does not say; the decoder measures the truth.
    stream_index: absolute index of the audio stream that is decoded.
    """

    path: Path
    sha256: str
    size: int
    format: str
    demuxer: str
    codec: str
    stream_index: int
    duration: float | None


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


@dataclass(frozen=True, slots=True)
class DecodeOptions:
    """How the model decodes a window. Windows with equal options (language and task aside) may share a batch.

    language: ISO 639-1 code, or None to detect it from the window.
    languages: it is detected among these alone; all that the model knows when empty.
    only_language: nothing is decoded, the language is all that is wanted.
    temperatures: tried in turn until a decode passes the thresholds, each in 0..1, never empty.
    compression_ratio_threshold, log_prob_threshold, no_speech_threshold: Whisper's, from the paper's section 4.5.
    """

    model: str
    language: str | None = None
    task: Task = Task.TRANSCRIBE
    beam_size: int = 5
    best_of: int = 5
    temperatures: tuple[float, ...] = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
    word_timestamps: bool = False
    initial_prompt: str | None = None
    hotwords: str | None = None
    languages: tuple[str, ...] = ()
    only_language: bool = False
    compression_ratio_threshold: float = 2.4
    log_prob_threshold: float = -1.0
    no_speech_threshold: float = 0.6


@dataclass(frozen=True, slots=True)
class VadOptions:
    """How speech is told from silence (Silero). Defaults are faster-whisper's.

    enabled: False cuts windows at the quietest moments instead and drops nothing.
    threshold: speech probability above which a 32 ms chunk counts as speech, 0..1.
    min_silence_ms: a pause at least this long ends a stretch of speech.
    speech_pad_ms: kept on both sides of every stretch.
    """

    enabled: bool = True
    threshold: float = 0.5
    min_silence_ms: int = 2000
    speech_pad_ms: int = 400


@dataclass(frozen=True, slots=True)
class Ticket:
    """On whose behalf a window is decoded.

    request_id: for the log. Clients choose it, so that several may share one.
    work_id: ours, for fairness between pieces of work; the request's id where there is none.
    """

    request_id: str
    priority: Priority = Priority.INTERACTIVE
    work_id: str = ""

    @property
    def owner(self) -> str:
        """Who takes turns with others in the queue."""
        return self.work_id or self.request_id


@dataclass(frozen=True, slots=True)
class Word:
    """One word with its punctuation and leading space. probability: 0..1, mean over its tokens."""

    text: str
    start: float
    end: float
    probability: float


@dataclass(frozen=True, slots=True)
class Segment:
    """One sentence or phrase as the model cut it.

    text: as decoded, leading space included, so that segments join without a separator.
    avg_logprob, compression_ratio, no_speech_prob, temperature: of the decode that produced it.
    seek: first frame of the decoded window, 10 ms units, as OpenAI's API reports it.
    """

    start: float
    end: float
    text: str
    tokens: tuple[int, ...]
    avg_logprob: float
    compression_ratio: float
    no_speech_prob: float
    temperature: float
    seek: int = 0
    words: tuple[Word, ...] = ()

    @property
    def confidence(self) -> float:
        """Geometric mean of the token probabilities, 0..1."""
        return min(1.0, math.exp(self.avg_logprob))


@dataclass(frozen=True, slots=True)
class WindowResult:
    """What the model said about one window. Times are relative to the window.

    language_probability: 1.0 when the caller named the language.
    unspoken: what was decoded where the model hears no speech and is not sure of the words; Whisper leaves it out.
    """

    language: str
    language_probability: float
    segments: tuple[Segment, ...]
    unspoken: tuple[Segment, ...] = ()


@dataclass(frozen=True, slots=True)
class Concern:
    """A segment that was dropped or marked. start, end: in the file.

    segment: its index in the transcript, or None when it was dropped.
    """

    segment: int | None
    start: float
    end: float
    text: str
    reason: Reason
    action: Action


@dataclass(frozen=True, slots=True)
class Transcript:
    """What was said in a file, in file time.

    language: ISO 639-1 code, or "und" (undetermined) when nobody spoke and the caller named none.
    duration: seconds of audio decoded.
    word_timestamps: whether the caller asked for words. Without, segments may still carry them, for subtitles.
    processing_time: seconds from the accepted file to this transcript.
    warnings: every segment that was dropped or marked, in file order.
    """

    language: str
    language_probability: float
    duration: float
    segments: tuple[Segment, ...]
    model: str
    task: Task = Task.TRANSCRIBE
    word_timestamps: bool = False
    processing_time: float = 0.0
    warnings: tuple[Concern, ...] = ()

    @property
    def text(self) -> str:
        return "".join(segment.text for segment in self.segments).strip()

    @property
    def words(self) -> tuple[Word, ...]:
        return tuple(word for segment in self.segments for word in segment.words)
