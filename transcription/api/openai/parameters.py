"""What OpenAI's clients send, from form fields to a TranscriptionRequest. Source: OpenAI's published schema.

Parameters of ours that OpenAI lacks, such as beam_size, may be sent beside theirs.
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

# Names that clients have built in; they mean the model that this service has as its default.
ALIASES = ("whisper-1", "gpt-4o-transcribe", "gpt-4o-mini-transcribe")
GRANULARITIES, INCLUDE, KEYWORDS, LANGUAGES = "timestamp_granularities", "include", "keywords", "languages"
SPEAKERS = ("known_speaker_names", "known_speaker_references")
CHUNKING = "chunking_strategy"
SERVER_VAD, AUTO = "server_vad", "auto"
# OpenAI's names and defaults for voice activity detection.
VAD = {
    f"{CHUNKING}[threshold]": ("vad_threshold", "0.5"),
    f"{CHUNKING}[silence_duration_ms]": ("vad_min_silence_ms", "200"),
    f"{CHUNKING}[prefix_padding_ms]": ("vad_speech_pad_ms", "300"),
}
CHUNKING_TYPE = f"{CHUNKING}[type]"
RENAMED = {"prompt": "initial_prompt", "temperature": "temperature", "language": "language"}
OURS = frozenset(
    {
        *("beam_size", "best_of", "hallucinations", "hotwords", "multilingual"),
        *("vad_filter", "vad_threshold", "vad_min_silence_ms", "vad_speech_pad_ms"),
        *LAYOUT_NAMES,
    }
)
OF_TRANSLATIONS = frozenset({"model", "prompt", "response_format", "temperature"}) | OURS
LISTS = frozenset({GRANULARITIES, INCLUDE, KEYWORDS, LANGUAGES, *SPEAKERS})
OF_TRANSCRIPTIONS = OF_TRANSLATIONS | LISTS | {"language", "stream", CHUNKING, CHUNKING_TYPE, *VAD}
LOGPROBS = "logprobs"
TRUE, FALSE = ("true", "1"), ("false", "0")


class Format(StrEnum):
    """What OpenAI's `response_format` takes."""

    JSON = "json"
    TEXT = "text"
    SRT = "srt"
    VERBOSE_JSON = "verbose_json"
    VTT = "vtt"
    DIARIZED_JSON = "diarized_json"


STREAMED = (Format.JSON, Format.TEXT)
Choice = TypeVar("Choice", bound=StrEnum)


@dataclass(frozen=True, slots=True)
class Asked:
    """A request as OpenAI's clients mean it. segments, words: what verbose_json lists."""

    request: TranscriptionRequest
    response_format: Format
    layout: SubtitleLayout | None = None
    segments: bool = True
    words: bool = False
    logprobs: bool = False
    stream: bool = False


@dataclass(slots=True)
class _Form:
    """Form fields without the empty ones. singles: by name. lists: by name without brackets."""

    singles: dict[str, str] = field(default_factory=dict)
    lists: dict[str, list[str]] = field(default_factory=dict)

    def list_of(self, name: str) -> list[str]:
        return self.lists.get(name, [])


def parse(fields: Iterable[tuple[str, str]], task: Task, settings: Settings) -> Asked:
    """Raises InvalidParameter and UnknownModel, which name the parameter."""
    form = _read(fields, OF_TRANSLATIONS if task is Task.TRANSLATE else OF_TRANSCRIPTIONS)
    chosen = _choice(Format, form.singles.pop("response_format", Format.JSON), "response_format")
    _refuse_speakers(form, chosen)
    words, segments = _granularities(form, chosen)
    logprobs = _logprobs(form, chosen)
    stream = _boolean(form.singles.pop("stream", "false"), "stream")
    if stream and chosen not in STREAMED:
        raise InvalidParameter(
            f"stream=true sends events and not '{chosen}'. Send response_format=json, or leave 'stream' out.",
            parameter="stream",
        )
    candidates = _languages(form)
    parameters = _ours(form, task, chosen, with_words=words or logprobs)
    request, layout = parameters.to_request(settings), parameters.checked_layout()
    if len(candidates) > 1:
        request = replace(request, decode=replace(request.decode, languages=candidates))
    return Asked(request, chosen, layout, segments, words, logprobs, stream)


def _read(fields: Iterable[tuple[str, str]], known: frozenset[str]) -> _Form:
    form = _Form()
    for sent, value in fields:
        name = sent.removesuffix("[]")
        if name not in known or (sent != name and name not in LISTS):
            raise InvalidParameter(f"Unknown parameter: '{sent[:80]}'.", parameter=sent[:80])
        if not value.strip():  # OpenAI's clients send nothing that way
            continue
        if name in LISTS:
            form.lists.setdefault(name, []).append(value)
        elif name in form.singles:
            raise InvalidParameter(f"'{name}' is given twice. Send it once.", parameter=name)
        else:
            form.singles[name] = value
    return form


def _refuse_speakers(form: _Form, chosen: Format) -> None:
    given = next((name for name in SPEAKERS if form.list_of(name)), "")
    if chosen is Format.DIARIZED_JSON or given:
        raise InvalidParameter(
            "This service does not tell speakers apart. Send response_format=verbose_json for segments with times.",
            parameter=given or "response_format",
        )


def _granularities(form: _Form, chosen: Format) -> tuple[bool, bool]:
    """Whether words, and whether segments are wanted."""
    given = {_choice(Granularity, value, GRANULARITIES) for value in form.list_of(GRANULARITIES)}
    words = Granularity.WORD in given
    if words and chosen is not Format.VERBOSE_JSON:
        raise InvalidParameter(
            f"Words have times in response_format=verbose_json only, not in '{chosen}'. Send that one, or leave "
            f"'{GRANULARITIES}[]=word' out.",
            parameter=GRANULARITIES,
        )
    return words, not given or Granularity.SEGMENT in given


def _logprobs(form: _Form, chosen: Format) -> bool:
    given = form.list_of(INCLUDE)
    unknown = next((value for value in given if value != LOGPROBS), None)
    if unknown is not None:
        raise InvalidParameter(f"'{unknown[:80]}' cannot be included. Known: {LOGPROBS}.", parameter=INCLUDE)
    if given and chosen is not Format.JSON:
        raise InvalidParameter(
            f"{LOGPROBS} come with response_format=json only, not with '{chosen}'.", parameter=INCLUDE
        )
    return bool(given)


def _languages(form: _Form) -> tuple[str, ...]:
    """Codes of the languages that may be spoken, in order; a single one is the language."""
    codes = tuple(dict.fromkeys(_code(value) for value in form.list_of(LANGUAGES)))
    if codes and "language" in form.singles:
        raise InvalidParameter(
            "'language' says what is spoken, 'languages[]' what may be. Send one of the two.", parameter=LANGUAGES
        )
    if len(codes) == 1:
        form.singles["language"] = codes[0]
    return codes


def _code(language: str) -> str:
    try:
        return language_code(language)
    except InvalidParameter as error:
        raise InvalidParameter(error.message, parameter=LANGUAGES) from None


def _ours(form: _Form, task: Task, chosen: Format, *, with_words: bool) -> TranscriptionParameters:
    """Everything that our own route knows, too."""
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
    given |= {name: singles[name] for name in OURS if name in singles}
    try:
        return TranscriptionParameters.model_validate(given)
    except ValidationError as error:
        raise _explain(error) from None
    except InvalidParameter as error:  # the one of our own validator
        raise InvalidParameter(error.message, parameter="language") from None


def _vad(form: _Form) -> dict[str, str]:
    """Ours for OpenAI's `chunking_strategy`."""
    kind = form.singles.get(CHUNKING) or form.singles.get(CHUNKING_TYPE)
    details = {name: form.singles[name] for name in VAD if name in form.singles}
    if kind is None and not details:
        return {}
    if kind == AUTO and not details:
        return {}
    if kind != SERVER_VAD:
        raise InvalidParameter(
            f"'{CHUNKING}' is '{AUTO}', or has the type '{SERVER_VAD}' with what belongs to it.", parameter=CHUNKING
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
    raise InvalidParameter(f"'{name}' is 'true' or 'false', not '{value[:80]}'.", parameter=name)


def _choice(kind: type[Choice], value: str, name: str) -> Choice:
    try:
        return kind(value)
    except ValueError:
        known: Sequence[str] = list(kind)
        raise InvalidParameter(f"'{name}' is one of {', '.join(known)}, not '{value[:80]}'.", parameter=name) from None
