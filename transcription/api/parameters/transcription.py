"""The parameters of POST /transcribe, and their conversion to a TranscriptionRequest."""

from __future__ import annotations

from dataclasses import replace
from enum import StrEnum
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from formats.registry import ResponseFormat, check_layout
from formats.subtitles.layout import SubtitleLayout
from runners.models.catalogue import check_allowed, is_english_only
from transcription.api.parameters.speakers import SpeakerParameters
from transcription.api.parameters.subtitles import LayoutParameters
from transcription.core.errors import InvalidParameter
from transcription.core.languages import language_code, language_tag, script_of
from transcription.core.options import (
    VAD_MIN_SILENCE_MS,
    VAD_SPEECH_PAD_MS,
    VAD_THRESHOLD,
    Channel,
    DecodeOptions,
    EncoderContext,
    HallucinationPolicy,
    SoundOptions,
    Task,
    TranscriptionRequest,
    VadOptions,
)
from transcription.core.settings import Settings
from transcription.core.speakers import KnownVoice

MAX_BEAM_SIZE = 10
MAX_BEST_OF = 10
MAX_PROMPT_CHARACTERS = 2000  # the model uses at most 220 tokens of prompt and hotwords together
MAX_URL_CHARACTERS = 2000
MAX_STREAMS = 64  # of a file
MAX_SILENCE_MS = 60_000
MAX_PAD_MS = 10_000
FALLBACK_TEMPERATURES = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)  # Whisper's


class Granularity(StrEnum):
    """The smallest units with timestamps."""

    SEGMENT = "segment"
    WORD = "word"


class RecordingParameters(BaseModel):
    """The parameters of a transcription. The descriptions appear in the API document."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    language: Annotated[str, AfterValidator(language_tag)] | None = Field(
        None,
        description="Code or English name of the spoken language, or a tag such as en-US; detected if missing or auto. "
        "zh-Hans or zh-Hant, or a region such as zh-TW, also sets the script in which Chinese is written.",
        examples=["en"],
    )
    multilingual: bool = Field(
        False, description="Detect the language after every longer pause, for recordings in several languages."
    )
    model: str | None = Field(
        None, description="A model of GET /models; the default model of the service if missing.", examples=["base"]
    )
    response_format: ResponseFormat = Field(ResponseFormat.JSON, description="The format of the transcript.")
    timestamp_granularity: Granularity = Field(
        Granularity.SEGMENT, description="word adds timestamps and a confidence for every word."
    )
    temperature: float = Field(
        0.0,
        ge=0,
        le=1,
        description="Initial temperature. It is raised in steps of 0.2 while the result of a decode looks wrong.",
    )
    async_: bool = Field(
        False,
        alias="async",
        description="Answer 202 immediately and transcribe in the background; GET /status/{job_id} has the status.",
    )
    callback_url: str | None = Field(
        None,
        max_length=MAX_URL_CHARACTERS,
        description="URL to which the final status of an asynchronous job is posted, signed. It must be https, and its "
        "host a public address.",
        examples=["https://example.com/transcripts"],
    )
    task: Task = Field(Task.TRANSCRIBE, description="translate produces English text.")
    beam_size: int = Field(
        5, ge=1, le=MAX_BEAM_SIZE, description="Number of hypotheses in beam search; 1 decodes greedily."
    )
    best_of: int = Field(
        5, ge=1, le=MAX_BEST_OF, description="Number of candidates to sample if the temperature is above 0."
    )
    initial_prompt: str | None = Field(
        None, max_length=MAX_PROMPT_CHARACTERS, description="Text that guides the style and the spelling of names."
    )
    hotwords: str | None = Field(None, max_length=MAX_PROMPT_CHARACTERS, description="Words that are likely to occur.")
    audio_track: int | None = Field(
        None,
        ge=1,
        le=MAX_STREAMS,
        description="Number of the audio track in a file with several, from 1. By default it is the default track, or "
        "the first that has sound.",
    )
    channel: Channel = Field(
        Channel.MIX,
        description="Transcribe both channels of a stereo recording mixed, or only left or right. split: both, each as "
        "a speaker of its own, as in recordings of calls.",
    )
    vad_filter: bool = Field(True, description="Skip parts without speech.")
    vad_threshold: float = Field(
        VAD_THRESHOLD, ge=0, le=1, description="Minimum probability of speech for a part to count as speech."
    )
    vad_min_silence_ms: int = Field(
        VAD_MIN_SILENCE_MS,
        ge=0,
        le=MAX_SILENCE_MS,
        description="Minimum duration of a pause that is skipped, in milliseconds.",
    )
    vad_speech_pad_ms: int = Field(
        VAD_SPEECH_PAD_MS, ge=0, le=MAX_PAD_MS, description="Padding on both sides of speech, in milliseconds."
    )
    encoder_context: EncoderContext | None = Field(
        None,
        description="How much the encoder sees: auto is the speech and some silence, and 30 s where the result is "
        "doubtful; full is always 30 s, with all beams, as in faster-whisper. The setting ENCODER_CONTEXT if missing.",
    )
    hallucinations: HallucinationPolicy = Field(
        HallucinationPolicy.DROP,
        description="What to do with suspected hallucinations, text without corresponding speech: drop them, mark "
        "them, or keep them without a check. `warnings` of verbose_json lists those that were dropped or marked.",
    )

    def to_request(self, settings: Settings) -> TranscriptionRequest:
        """The request for the pipeline. Raises UnknownModel, ModelNotAllowed, InvalidParameter."""
        if self.multilingual and self.language:
            raise InvalidParameter(
                f"'multilingual' detects the language of every part, but 'language' sets it to '{self.language}' "
                "throughout. Send only one of the two."
            )
        if self.callback_url and not self.async_:
            raise InvalidParameter(
                "'callback_url' needs async=true; otherwise the transcript is the answer to this request."
            )
        model = self.model or settings.whisper_model
        check_allowed(model, settings)
        if is_english_only(model):
            self._check_english_only(model)
        return TranscriptionRequest(
            decode=DecodeOptions(
                model=model,
                language=language_code(self.language) if self.language else None,
                task=self.task,
                beam_size=self.beam_size,
                best_of=self.best_of,
                temperatures=temperatures_from(self.temperature),
                word_timestamps=self.needs_words(),
                initial_prompt=self.initial_prompt,
                hotwords=self.hotwords,
                encoder_context=self.encoder_context or settings.encoder_context,
            ),
            vad=VadOptions(
                enabled=self.vad_filter,
                threshold=self.vad_threshold,
                min_silence_ms=self.vad_min_silence_ms,
                speech_pad_ms=self.vad_speech_pad_ms,
            ),
            multilingual=self.multilingual,
            hallucinations=self.hallucinations,
            sound=SoundOptions(self.audio_track, self.channel),
            script=script_of(self.language) if self.language else None,
        )

    def needs_words(self) -> bool:
        """Whether the words need timestamps."""
        return self.timestamp_granularity is Granularity.WORD

    def _check_english_only(self, model: str) -> None:
        if self.language not in (None, "en"):
            raise InvalidParameter(
                f"The model '{model}' is English-only and does not support '{self.language}'. Use another model."
            )
        if self.multilingual:
            raise InvalidParameter(f"The model '{model}' is English-only, so 'multilingual' needs another model.")
        if self.task is Task.TRANSLATE:
            raise InvalidParameter(f"The model '{model}' is English-only and cannot translate. Use another model.")


class TranscriptionParameters(LayoutParameters, SpeakerParameters, RecordingParameters):
    """Every parameter other than the recording."""

    def to_request(
        self, settings: Settings, *, complete: bool = True, known: tuple[KnownVoice, ...] = ()
    ) -> TranscriptionRequest:
        """The request for the pipeline. Raises UnknownModel, ModelNotAllowed, InvalidParameter.

        complete: False if these are the parameters of a query, and others may follow in a form.
        known: people who may be among the speakers.
        """
        if complete:
            self.check_speakers()
            if self.response_format is ResponseFormat.RTTM and not (self.diarize or self.is_split):
                raise InvalidParameter("rttm says who speaks when. Send diarize=true with it, or another format.")
        return replace(super().to_request(settings), speakers=self.speaker_options(known))

    @property
    def is_split(self) -> bool:
        """Whether each channel has a speaker of its own."""
        return self.channel is Channel.SPLIT

    def needs_words(self) -> bool:
        """Whether the words need timestamps: they are requested, or subtitles are broken between them."""
        layout = self.requested_layout()  # not checked: the form, with more parameters, may not have been read yet
        return super().needs_words() or (layout is not None and layout.needs_words)

    def checked_layout(self) -> SubtitleLayout | None:
        """The layout of subtitles, None for none. A job keeps it for every format in which its result is fetched.

        Raises InvalidParameter.
        """
        layout = self.to_layout()
        if not self.async_:
            check_layout(layout, self.response_format)
        return layout


def temperatures_from(start: float) -> tuple[float, ...]:
    """`start`, and Whisper's fallback temperatures above it."""
    return (start, *(value for value in FALLBACK_TEMPERATURES if value > start))
