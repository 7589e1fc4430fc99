"""The model's output: words, segments, results of windows, and the transcript of a file. Times are in seconds."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum

from transcription.core.audio import Span, Timeline
from transcription.core.options import Task
from transcription.core.speakers import Speaker


class Reason(StrEnum):
    """The reason to consider a segment a hallucination, by the rules in `transcription/pipeline/hallucinations.py`."""

    REPETITION = "repetition"
    COMPRESSION_RATIO = "compression_ratio"
    NO_VOICE = "no_voice"
    LOW_CONFIDENCE = "low_confidence"
    NO_SPEECH = "no_speech"


class Action(StrEnum):
    """The action taken on a suspected hallucination."""

    MARKED = "marked"
    DROPPED = "dropped"


@dataclass(frozen=True, slots=True)
class Word:
    """One word with its punctuation and leading space.

    probability: 0..1, mean over its tokens. speaker: the label of who says it; None if that was not asked for.
    """

    text: str
    start: float
    end: float
    probability: float
    speaker: str | None = None


@dataclass(frozen=True, slots=True)
class Segment:
    """One sentence or phrase, as divided by the model.

    text: as decoded, leading space included, so that segments join without a separator.
    avg_logprob, compression_ratio, no_speech_prob, temperature: of the decode that produced it.
    seek: index of the first frame (10 ms) of the decoded window, as in OpenAI's API.
    speaker: the label of who says all of it; None if that was not asked for.
    overlap: another person speaks during a notable part of it.
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
    speaker: str | None = None
    overlap: bool = False

    @property
    def confidence(self) -> float:
        """Geometric mean of the token probabilities, 0..1."""
        return min(1.0, math.exp(self.avg_logprob))


@dataclass(frozen=True, slots=True)
class WindowResult:
    """The model's output for one window. Times are relative to the window.

    language_probability: 0..1; 1.0 if the client named the language.
    unspoken: segments decoded where the model detects no speech and is not sure of the words. Whisper omits them.
    prompt_cut: the prompt was longer than the model can read, and was cut.
    """

    language: str
    language_probability: float
    segments: tuple[Segment, ...]
    unspoken: tuple[Segment, ...] = ()
    prompt_cut: bool = False


@dataclass(frozen=True, slots=True)
class PlacedResult:
    """A window's result with the window's place in the file, its speech and its voice, see `Window`.

    computed_by: of `transcription.pipeline.request_key.computed_by`, "" if unknown. One that was stored by another
    version, or with another model or setting, is not used again.
    channel: 0; with Channel.SPLIT 0 for left and 1 for right.
    heard: what was found out about speakers since the window before, see `SpeakerStage.heard`; "" for nothing.
    """

    timeline: Timeline
    result: WindowResult
    speech: tuple[Span, ...] | None = None
    computed_by: str = ""
    voice: tuple[Span, ...] | None = None
    channel: int = 0
    heard: str = ""


@dataclass(frozen=True, slots=True)
class Concern:
    """A segment that was dropped or marked. start, end: in file time.

    segment: its index in the transcript; None if it was dropped.
    """

    segment: int | None
    start: float
    end: float
    text: str
    reason: Reason
    action: Action


@dataclass(frozen=True, slots=True)
class Notice:
    """Something that readers of a transcript should know about its file.

    code: stable and machine-readable, such as TRUNCATED_MEDIA. message: what it means and what to do.
    start, end: the part of the file concerned, in file time; None where it is unknown or the whole file.
    """

    code: str
    message: str
    start: float | None = None
    end: float | None = None


TRUNCATED_MEDIA = "truncated_media"  # the file breaks off; the transcript covers what there is
OTHER_AUDIO_TRACKS = "other_audio_tracks"  # the file has several; one was chosen
PROMPT_CUT = "prompt_cut"  # initial_prompt or hotwords are longer than the model can read


@dataclass(frozen=True, slots=True)
class Transcript:
    """The transcript of a file, in file time.

    language: Whisper's code; "und" (undetermined) if there is no speech and the client named no language.
    duration: seconds of decoded audio.
    word_timestamps: whether the client requested words. Segments may have them anyway, for subtitles.
    processing_time: seconds from the accepted file to this transcript.
    warnings: the segments that were dropped or marked, in file order.
    notices: about the file as a whole.
    speakers: in the order in which they first speak; empty if they were not asked for, or no one speaks.
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
    notices: tuple[Notice, ...] = ()
    speakers: tuple[Speaker, ...] = ()

    @property
    def text(self) -> str:
        """The text of all segments, without white space at its ends."""
        return "".join(segment.text for segment in self.segments).strip()

    @property
    def words(self) -> tuple[Word, ...]:
        """The words of all segments."""
        return tuple(word for segment in self.segments for word in segment.words)
