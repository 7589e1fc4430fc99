"""What a caller may ask of a recording: the parameters of POST /transcribe, from text to a TranscriptionRequest."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable
from enum import StrEnum
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from formats.registry import ResponseFormat, check_layout
from formats.subtitles.layout import SubtitleLayout
from runners.models.catalogue import check_known, is_english_only
from transcription.api.layout_parameters import LayoutParameters
from transcription.core.errors import InvalidParameter
from transcription.core.languages import language_code
from transcription.core.options import (
    VAD_MIN_SILENCE_MS,
    VAD_SPEECH_PAD_MS,
    VAD_THRESHOLD,
    DecodeOptions,
    HallucinationPolicy,
    Task,
    TranscriptionRequest,
    VadOptions,
)
from transcription.core.settings import Settings

FILE = "file"
URL = "url"
MAX_BEAM_SIZE = 10
MAX_BEST_OF = 10
MAX_PROMPT_CHARACTERS = 2000  # the model keeps 223 tokens of it at most
MAX_URL_CHARACTERS = 2000
MAX_SILENCE_MS = 60_000
MAX_PAD_MS = 10_000
FALLBACK_TEMPERATURES = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)  # Whisper's


class Granularity(StrEnum):
    """The finest things that carry times."""

    SEGMENT = "segment"
    WORD = "word"


class RecordingParameters(BaseModel):
    """What is asked of the recording. The fields' descriptions are the API document's."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    language: Annotated[str, AfterValidator(language_code)] | None = Field(
        None, description="Code or English name of the spoken language; detected by default.", examples=["en"]
    )
    multilingual: bool = Field(
        False, description="Detect the language anew every 30 s or less, for recordings in several languages."
    )
    model: str | None = Field(
        None, description="A model of GET /models; the service's default otherwise.", examples=["base"]
    )
    response_format: ResponseFormat = Field(ResponseFormat.JSON, description="What the answer looks like.")
    timestamp_granularity: Granularity = Field(
        Granularity.SEGMENT, description="word adds a time and a confidence for every word."
    )
    temperature: float = Field(
        0.0,
        ge=0,
        le=1,
        description="Temperature to start from; the decoder goes up in steps of 0.2 while a decode looks wrong.",
    )
    async_: bool = Field(
        False, alias="async", description="Answer 202 at once and work in the background; GET /status/{job_id} follows."
    )
    callback_url: str | None = Field(
        None,
        max_length=MAX_URL_CHARACTERS,
        description="Where the final status of an asynchronous job is posted, signed. https, and a public address.",
        examples=["https://example.com/transcripts"],
    )
    task: Task = Field(Task.TRANSCRIBE, description="translate gives English text.")
    beam_size: int = Field(5, ge=1, le=MAX_BEAM_SIZE, description="Hypotheses kept while decoding; 1 is greedy.")
    best_of: int = Field(
        5, ge=1, le=MAX_BEST_OF, description="Decodes to choose the best from when the temperature is above 0."
    )
    initial_prompt: str | None = Field(
        None, max_length=MAX_PROMPT_CHARACTERS, description="Text that sets the style and the spelling of names."
    )
    hotwords: str | None = Field(None, max_length=MAX_PROMPT_CHARACTERS, description="Words to expect.")
    vad_filter: bool = Field(True, description="Leave out what is not speech.")
    vad_threshold: float = Field(
        VAD_THRESHOLD, ge=0, le=1, description="Speech probability from which a moment is speech."
    )
    vad_min_silence_ms: int = Field(
        VAD_MIN_SILENCE_MS, ge=0, le=MAX_SILENCE_MS, description="A pause at least this long is cut out, milliseconds."
    )
    vad_speech_pad_ms: int = Field(
        VAD_SPEECH_PAD_MS, ge=0, le=MAX_PAD_MS, description="Kept on both sides of speech, milliseconds."
    )
    hallucinations: HallucinationPolicy = Field(
        HallucinationPolicy.DROP,
        description="What to do with text that nobody seems to have said: drop it, mark it under `warnings` of "
        "verbose_json, which lists what was dropped, too, or keep it without looking.",
    )

    def to_request(self, settings: Settings) -> TranscriptionRequest:
        """The pipeline's view of these parameters.

        Raises UnknownModel, InvalidParameter.
        """
        if self.multilingual and self.language:
            raise InvalidParameter(
                f"'multilingual' detects the language of every part, 'language' says that it is '{self.language}' "
                "throughout. Send one of the two."
            )
        if self.callback_url and not self.async_:
            raise InvalidParameter("'callback_url' needs async=true: without it the answer comes on this connection.")
        model = self.model or settings.whisper_model
        check_known(model, settings)
        if is_english_only(model):
            self._check_english_only(model)
        return TranscriptionRequest(
            decode=DecodeOptions(
                model=model,
                language=self.language,
                task=self.task,
                beam_size=self.beam_size,
                best_of=self.best_of,
                temperatures=temperatures_from(self.temperature),
                word_timestamps=self.wants_words(),
                initial_prompt=self.initial_prompt,
                hotwords=self.hotwords,
            ),
            vad=VadOptions(
                enabled=self.vad_filter,
                threshold=self.vad_threshold,
                min_silence_ms=self.vad_min_silence_ms,
                speech_pad_ms=self.vad_speech_pad_ms,
            ),
            multilingual=self.multilingual,
            hallucinations=self.hallucinations,
        )

    def wants_words(self) -> bool:
        """Whether words are timed."""
        return self.timestamp_granularity is Granularity.WORD

    def _check_english_only(self, model: str) -> None:
        if self.language not in (None, "en"):
            raise InvalidParameter(f"The model '{model}' knows English only, not '{self.language}'. Use another model.")
        if self.multilingual:
            raise InvalidParameter(f"The model '{model}' knows English only, so 'multilingual' needs another model.")
        if self.task is Task.TRANSLATE:
            raise InvalidParameter(f"The model '{model}' knows English only and cannot translate. Use another model.")


class TranscriptionParameters(LayoutParameters, RecordingParameters):
    """Every parameter beside the file."""

    def wants_words(self) -> bool:
        """Whether words are timed: when they are asked for, or subtitles are broken between them."""
        layout = self.asked_layout()  # part of the parameters may be all there is yet
        return super().wants_words() or (layout is not None and layout.needs_words)

    def checked_layout(self) -> SubtitleLayout | None:
        """The layout of the subtitles. A job keeps it for whatever its result will be fetched as.

        Raises InvalidParameter.
        """
        layout = self.to_layout()
        if not self.async_:
            check_layout(layout, self.response_format)
        return layout


NAMES: tuple[str, ...] = tuple(field.alias or name for name, field in TranscriptionParameters.model_fields.items())


def temperatures_from(start: float) -> tuple[float, ...]:
    """Whisper's fallback temperatures from `start` upwards."""
    return (start, *(value for value in FALLBACK_TEMPERATURES if value > start))


def parse_parameters(query: Iterable[tuple[str, str]], form: Iterable[tuple[str, str]] = ()) -> TranscriptionParameters:
    """Parameters from a query and a form, which wins where both name one. An empty value counts as not given.

    Raises InvalidParameter, which names each parameter that is wrong, or the one that an unknown name resembles.
    """
    given = {**_single_values(query, "query"), **_single_values(form, "form")}
    try:
        return TranscriptionParameters.model_validate(given)
    except ValidationError as error:
        raise InvalidParameter(*_explain(error)) from None


def json_fields(form: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """Form fields as BentoML's clients encode them, each a JSON value, as plain text; null is an empty value."""
    return [(name, _plain(value)) for name, value in form]


def _plain(value: str) -> str:
    try:
        decoded: Any = json.loads(value)
    except json.JSONDecodeError:
        return value
    if decoded is None:
        return ""
    return decoded if isinstance(decoded, str) else value


def _single_values(pairs: Iterable[tuple[str, str]], place: str) -> dict[str, str]:
    values: dict[str, str] = {}
    for name, value in pairs:
        if name not in NAMES:
            raise InvalidParameter(_unknown(name, place))
        if name in values:
            raise InvalidParameter(f"'{name}' is given twice in the {place}. Send it once.")
        values[name] = value
    return {name: value for name, value in values.items() if value.strip()}


def _unknown(name: str, place: str) -> str:
    if name == FILE:
        return f"'{FILE}' must be a file part of the multipart form, not text in the {place}."
    if name == URL:
        return f"'{URL}' is taken by /transcribe only. Send the file itself as '{FILE}'."
    nearest = difflib.get_close_matches(name.lower(), NAMES, n=1, cutoff=0.5)
    remedy = f"Did you mean '{nearest[0]}'?" if nearest else f"Known parameters: {', '.join((FILE, *NAMES))}."
    return f"There is no parameter '{name[:80]}'. {remedy}"


def _explain(error: ValidationError) -> tuple[str, str]:
    """A message for the caller and a detail that shows what was sent."""
    problems, sent = [], []
    for item in error.errors():
        name = str(item["loc"][0])
        problems.append(f"{name}: {item['msg']}")
        sent.append(f"{name}={str(item['input'])[:80]!r}")
    return "; ".join(problems) + ".", ", ".join(sent)
