"""What a client asks for: the task, how to decode, how to tell speech from silence, and on whose behalf."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


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
class TranscriptionRequest:
    """What a caller asks of a file.

    multilingual: the language is detected for every window, not for the first alone; `decode` names none then.
    """

    decode: DecodeOptions
    vad: VadOptions
    multilingual: bool = False
    hallucinations: HallucinationPolicy = HallucinationPolicy.DROP


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
