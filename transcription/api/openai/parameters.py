"""The parameters of OpenAI's audio API, from form fields to a TranscriptionRequest, after OpenAI's published schema.

Clients may also send extensions: parameters of POST /transcribe that OpenAI does not have, such as beam_size.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any, TypeVar

from pydantic import ValidationError

from formats.subtitles.layout import SubtitleLayout
from transcription.api.parameters.subtitles import LAYOUT_NAMES
from transcription.api.parameters.transcription import Granularity, TranscriptionParameters
from transcription.core.errors import InvalidParameter
from transcription.core.languages import language_code
from transcription.core.options import Task, TranscriptionRequest
from transcription.core.settings import Settings

# Names that are built into clients. They select the default model of this service.
ALIASES = ("whisper-1", "gpt-4o-transcribe", "gpt-4o-mini-transcribe")
GRANULARITIES, INCLUDE, KEYWORDS, LANGUAGES = "timestamp_granularities", "include", "keywords", "languages"
SPEAKER_NAMES = ("known_speaker_names", "known_speaker_references")
CHUNKING = "chunking_strategy"
SERVER_VAD, AUTO = "server_vad", "auto"
# By OpenAI's name for a parameter of voice activity detection: our name, and OpenAI's default.
VAD = {
    f"{CHUNKING}[threshold]": ("vad_threshold", "0.5"),
    f"{CHUNKING}[silence_duration_ms]": ("vad_min_silence_ms", "200"),
    f"{CHUNKING}[prefix_padding_ms]": ("vad_speech_pad_ms", "300"),
}
CHUNKING_TYPE = f"{CHUNKING}[type]"
RENAMED = {"prompt": "initial_prompt", "temperature": "temperature", "language": "language"}
EXTENSIONS = frozenset(
    {
        *("beam_size", "best_of", "hallucinations", "hotwords", "multilingual", "audio_track", "channel"),
        *("vad_filter", "vad_threshold", "vad_min_silence_ms", "vad_speech_pad_ms"),
        *LAYOUT_NAMES,
    }
)
TRANSLATION_NAMES = frozenset({"model", "prompt", "response_format", "temperature"}) | EXTENSIONS
LIST_NAMES = frozenset({GRANULARITIES, INCLUDE, KEYWORDS, LANGUAGES, *SPEAKER_NAMES})
TRANSCRIPTION_NAMES = TRANSLATION_NAMES | LIST_NAMES | {"language", "stream", CHUNKING, CHUNKING_TYPE, *VAD}
LOGPROBS = "logprobs"
TRUE, FALSE = ("true", "1"), ("false", "0")


class OpenAIFormat(StrEnum):
    """The values of OpenAI's `response_format`."""

    JSON = "json"
    TEXT = "text"
    SRT = "srt"
    VERBOSE_JSON = "verbose_json"
    VTT = "vtt"
    DIARIZED_JSON = "diarized_json"


STREAMED = (OpenAIFormat.JSON, OpenAIFormat.TEXT)
Choice = TypeVar("Choice", bound=StrEnum)


@dataclass(frozen=True, slots=True)
class OpenAIRequest:
    """A parsed request. segments, words: whether verbose_json lists them. logprobs: whether json includes them."""

    request: TranscriptionRequest
    response_format: OpenAIFormat
    layout: SubtitleLayout | None = None
    segments: bool = True
    words: bool = False
    logprobs: bool = False
    stream: bool = False


@dataclass(slots=True)
class _Form:
    """Form fields with a value. singles: by name. lists: by name without brackets."""

    singles: dict[str, str] = field(default_factory=dict)
    lists: dict[str, list[str]] = field(default_factory=dict)

    def list_of(self, name: str) -> list[str]:
        return self.lists.get(name, [])


def parse(fields: Iterable[tuple[str, str]], task: Task, settings: Settings) -> OpenAIRequest:
    """Parse the form fields of a request. Raises InvalidParameter and UnknownModel, which name the parameter."""
    form = _read(fields, TRANSLATION_NAMES if task is Task.TRANSLATE else TRANSCRIPTION_NAMES)
    chosen = _choice(OpenAIFormat, form.singles.pop("response_format", OpenAIFormat.JSON), "response_format")
    _refuse_speakers(form, chosen)
    words, segments = _granularities(form, chosen)
    logprobs = _logprobs(form, chosen)
    stream = _boolean(form.singles.pop("stream", "false"), "stream")
    if stream and chosen not in STREAMED:
        raise InvalidParameter(
            f"stream=true sends events, not '{chosen}'. Send response_format=json, or leave 'stream' out.",
            parameter="stream",
        )
    candidates = _candidate_languages(form)
    parameters = _native_parameters(form, task, chosen, with_words=words or logprobs)
    request, layout = parameters.to_request(settings), parameters.checked_layout()
    if len(candidates) > 1:
        request = replace(request, decode=replace(request.decode, languages=candidates))
    return OpenAIRequest(request, chosen, layout, segments, words, logprobs, stream)


def _read(fields: Iterable[tuple[str, str]], known: frozenset[str]) -> _Form:
    form = _Form()
    for sent, value in fields:
        name = sent.removesuffix("[]")
        if name not in known or (sent != name and name not in LIST_NAMES):
            raise InvalidParameter(f"Unknown parameter: '{sent[:80]}'.", parameter=sent[:80])
        if not value.strip():  # OpenAI's clients send unset parameters as empty fields
            continue
        if name in LIST_NAMES:
            form.lists.setdefault(name, []).append(value)
        elif name in form.singles:
            raise InvalidParameter(f"'{name}' is given twice. Send it once.", parameter=name)
        else:
            form.singles[name] = value
    return form


def _refuse_speakers(form: _Form, chosen: OpenAIFormat) -> None:
    given = next((name for name in SPEAKER_NAMES if form.list_of(name)), "")
    if chosen is OpenAIFormat.DIARIZED_JSON or given:
        raise InvalidParameter(
            "This service does not identify speakers. Send response_format=verbose_json for segments with timestamps.",
            parameter=given or "response_format",
        )


def _granularities(form: _Form, chosen: OpenAIFormat) -> tuple[bool, bool]:
    """Whether words, and whether segments, are requested."""
    given = {_choice(Granularity, value, GRANULARITIES) for value in form.list_of(GRANULARITIES)}
    words = Granularity.WORD in given
    if words and chosen is not OpenAIFormat.VERBOSE_JSON:
        raise InvalidParameter(
            f"Words have timestamps in response_format=verbose_json only, not '{chosen}'. Send verbose_json, or leave "
            f"'{GRANULARITIES}[]=word' out.",
            parameter=GRANULARITIES,
        )
    return words, not given or Granularity.SEGMENT in given


def _logprobs(form: _Form, chosen: OpenAIFormat) -> bool:
    given = form.list_of(INCLUDE)
    unknown = next((value for value in given if value != LOGPROBS), None)
    if unknown is not None:
        raise InvalidParameter(f"'{unknown[:80]}' cannot be included. Supported: {LOGPROBS}.", parameter=INCLUDE)
    if given and chosen is not OpenAIFormat.JSON:
        raise InvalidParameter(
            f"{LOGPROBS} are available with response_format=json only, not with '{chosen}'.", parameter=INCLUDE
        )
    return bool(given)


def _candidate_languages(form: _Form) -> tuple[str, ...]:
    """Codes of the languages that may be spoken, in order. A single one becomes `language`."""
    codes = tuple(dict.fromkeys(_code(value) for value in form.list_of(LANGUAGES)))
    if codes and "language" in form.singles:
        raise InvalidParameter(
            "'language' is the spoken language, 'languages[]' are candidates for it. Send only one of the two.",
            parameter=LANGUAGES,
        )
    if len(codes) == 1:
        form.singles["language"] = codes[0]
    return codes


def _code(language: str) -> str:
    try:
        return language_code(language)
    except InvalidParameter as error:
        raise InvalidParameter(error.message, parameter=LANGUAGES) from None


def _native_parameters(form: _Form, task: Task, chosen: OpenAIFormat, *, with_words: bool) -> TranscriptionParameters:
    """The parameters of POST /transcribe that correspond to the form."""
    singles = form.singles
    if "model" not in singles:
        raise InvalidParameter("You must provide a model parameter; GET /v1/models lists them.", parameter="model")
    given: dict[str, Any] = {"task": task, "response_format": chosen.value, **_vad(form)}
    if singles["model"] not in ALIASES:
        given["model"] = singles["model"]
    if with_words:
        given["timestamp_granularity"] = Granularity.WORD
    if keywords := form.list_of(KEYWORDS):
        given["hotwords"] = ", ".join(keywords)
    given |= {ours: singles[theirs] for theirs, ours in RENAMED.items() if theirs in singles}
    given |= {name: singles[name] for name in EXTENSIONS if name in singles}
    try:
        return TranscriptionParameters.model_validate(given)
    except ValidationError as error:
        raise _explain(error) from None
    except InvalidParameter as error:  # raised by a validator, which pydantic does not wrap
        raise InvalidParameter(error.message, parameter="language") from None


def _vad(form: _Form) -> dict[str, str]:
    """Our parameters for OpenAI's `chunking_strategy`."""
    kind = form.singles.get(CHUNKING) or form.singles.get(CHUNKING_TYPE)
    details = {name: form.singles[name] for name in VAD if name in form.singles}
    if kind is None and not details:
        return {}
    if kind == AUTO and not details:
        return {}
    if kind != SERVER_VAD:
        raise InvalidParameter(
            f"'{CHUNKING}' must be '{AUTO}', or have the type '{SERVER_VAD}' and its parameters.", parameter=CHUNKING
        )
    return {ours: details.get(name, default) for name, (ours, default) in VAD.items()}


def _explain(error: ValidationError) -> InvalidParameter:
    names = {ours: theirs for theirs, ours in RENAMED.items()} | {ours: name for name, (ours, _) in VAD.items()}
    problems = [(names.get(str(item["loc"][0]), str(item["loc"][0])), item["msg"]) for item in error.errors()]
    message = "; ".join(f"{name}: {problem}" for name, problem in problems)
    return InvalidParameter(f"{message}.", parameter=problems[0][0])


def _boolean(value: str, name: str) -> bool:
    if value.lower() in TRUE:
        return True
    if value.lower() in FALSE:
        return False
    raise InvalidParameter(f"'{name}' must be 'true' or 'false', not '{value[:80]}'.", parameter=name)


def _choice(kind: type[Choice], value: str, name: str) -> Choice:
    try:
        return kind(value)
    except ValueError:
        known: Sequence[str] = list(kind)
        raise InvalidParameter(
            f"'{name}' must be one of {', '.join(known)}, not '{value[:80]}'.", parameter=name
        ) from None
