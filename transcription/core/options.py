"""Options of a transcription: task, decoding, voice activity detection, and the request that a window belongs to."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

from transcription.core.languages import Script
from transcription.core.speakers import SpeakerOptions

# Defaults of voice activity detection, for every interface. They are faster-whisper's.
VAD_THRESHOLD = 0.5  # speech probability, 0..1
VAD_MIN_SILENCE_MS = 2000
VAD_SPEECH_PAD_MS = 400


class Task(StrEnum):
    """Transcribe in the spoken language, or translate to English."""

    TRANSCRIBE = "transcribe"
    TRANSLATE = "translate"


class Priority(StrEnum):
    """Live: someone is speaking. Interactive: a client waits on an open connection. Background: a stored job."""

    LIVE = "live"
    INTERACTIVE = "interactive"
    BACKGROUND = "background"


class EncoderContext(StrEnum):
    """How much the encoder sees. Auto: the speech and some silence, and 30 s when in doubt. Full: 30 s.

    With full, everything is decoded as by faster-whisper: windows of 30 s, and beam search for all of them.
    """

    AUTO = "auto"
    FULL = "full"


class HallucinationPolicy(StrEnum):
    """The treatment of segments that were probably not spoken."""

    MARK = "mark"
    DROP = "drop"
    KEEP = "keep"


@dataclass(frozen=True, slots=True)
class DecodeOptions:
    """Options for decoding a window. Windows with equal options (language and task aside) may share a batch.

    language: ISO 639-1 code; None to detect it from the window.
    language_detected: `language` was not requested, but detected in another window of the recording.
    languages: the languages to choose from in detection; empty for all of the model's.
    only_language: detect the language and decode nothing.
    temperatures: tried in turn until a decode passes the thresholds; each in 0..1, never empty.
    compression_ratio_threshold: a decode whose text compresses better than this is repetitive, and is tried again.
    log_prob_threshold: a decode whose average log probability is lower is tried again.
    no_speech_threshold: a window with a higher probability of no speech and a low average log probability is skipped.
    encoder_context: how much the encoder sees; with FULL the tokens are those of faster-whisper.
    draft: the audio goes on and will be decoded again: decoded once, and without result if that is doubtful.
    """

    model: str
    language: str | None = None
    language_detected: bool = False
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
    encoder_context: EncoderContext = EncoderContext.AUTO
    draft: bool = False


@dataclass(frozen=True, slots=True)
class VadOptions:
    """Voice activity detection by Silero.

    enabled: if False, nothing is dropped, and windows are cut at the quietest moments.
    threshold: speech probability from which a chunk of 32 ms counts as speech, 0..1.
    min_silence_ms: length of a pause that ends a stretch of speech, milliseconds.
    speech_pad_ms: padding kept on both sides of a stretch, milliseconds.
    """

    enabled: bool = True
    threshold: float = VAD_THRESHOLD
    min_silence_ms: int = VAD_MIN_SILENCE_MS
    speech_pad_ms: int = VAD_SPEECH_PAD_MS


class Channel(StrEnum):
    """The channels of a recording that are transcribed: all of them mixed, one, or left and right apart."""

    MIX = "mix"
    LEFT = "left"
    RIGHT = "right"
    SPLIT = "split"


@dataclass(frozen=True, slots=True)
class SoundOptions:
    """The part of the recording's sound that is transcribed.

    audio_track: number among the audio tracks, from 1; None to choose one that has sound.
    """

    audio_track: int | None = None
    channel: Channel = Channel.MIX


@dataclass(frozen=True, slots=True)
class TranscriptionRequest:
    """The options of a request for a transcript.

    multilingual: detect the language of every window, and of its parts between pauses, instead of the first window
        only; `decode.language` is None then.
    script: in which Chinese is written; None for whichever the model writes.
    speakers: tell them apart, by their voices or, with Channel.SPLIT, by their channels; None for a transcript without
        speakers. The words get times then, whatever `decode` says, and are shown only if it asks for them.
    """

    decode: DecodeOptions
    vad: VadOptions
    multilingual: bool = False
    hallucinations: HallucinationPolicy = HallucinationPolicy.DROP
    sound: SoundOptions = SoundOptions()
    script: Script | None = None
    speakers: SpeakerOptions | None = None

    @property
    def decoded_with(self) -> DecodeOptions:
        """The options for decoding its windows."""
        return replace(self.decode, word_timestamps=True) if self.speakers else self.decode


@dataclass(frozen=True, slots=True)
class Ticket:
    """The request that a window belongs to.

    request_id: for the log. Chosen by the client, so it may not be unique.
    work_id: unique to a piece of work, for fairness in the queue; empty to use the request's id.
    replaceable: while the window waits, the next one of the same work takes its place; only for Priority.LIVE.
    caller: the name of the API key, "" without keys; callers take turns in the queue.
    """

    request_id: str
    priority: Priority = Priority.INTERACTIVE
    work_id: str = ""
    replaceable: bool = False
    caller: str = ""

    @property
    def owner(self) -> str:
        """Key for the round-robin between pieces of work in the queue."""
        return self.work_id or self.request_id
