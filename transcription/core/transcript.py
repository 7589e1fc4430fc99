"""What the model said: words, segments, results of windows, and the transcript of a file. Times are seconds."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum

from transcription.core.audio import Span, Timeline
from transcription.core.options import Task


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
class PlacedResult:
    """A window's result, where that window stands in the file, and `Window.speech`."""

    timeline: Timeline
    result: WindowResult
    speech: tuple[Span, ...] | None = None


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
