"""The parameters of OpenAI's audio API, from form fields to a TranscriptionRequest, after OpenAI's published schema.

Clients may also send extensions: parameters of POST /transcribe that OpenAI does not have, such as beam_size.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, TypeVar

from pydantic import ValidationError

from formats.registry import ResponseFormat
from formats.subtitles.layout import SubtitleLayout
from transcription.api.known_speakers import Sample, samples_of
from transcription.api.openai.form import (
    CHUNKING,
    GRANULARITIES,
    INCLUDE,
    KEYWORDS,
    LANGUAGE,
    LANGUAGES,
    LIST_NAMES,
    SPEAKER_NAMES,
    Form,
    read_form,
)
from transcription.api.openai.models import is_diarizing, resolve, resolve_deployment
from transcription.api.parameters.speakers import SPEAKER_NAMES as SPEAKER_EXTENSIONS
from transcription.api.parameters.subtitles import LAYOUT_NAMES
from transcription.api.parameters.transcription import Granularity, TranscriptionParameters
from transcription.core.errors import InvalidParameter
from transcription.core.languages import Script, language_code, script_of
from transcription.core.options import Channel, Task, TranscriptionRequest
from transcription.core.settings import Settings
from transcription.core.speakers import LETTERS

SERVER_VAD, BY_ITSELF = "server_vad", "auto"
# By OpenAI's name for a parameter of voice activity detection: our name, and OpenAI's default.
VAD = {
    f"{CHUNKING}[threshold]": ("vad_threshold", "0.5"),
    f"{CHUNKING}[silence_duration_ms]": ("vad_min_silence_ms", "200"),
    f"{CHUNKING}[prefix_padding_ms]": ("vad_speech_pad_ms", "300"),
}
CHUNKING_TYPE = f"{CHUNKING}[type]"
RENAMED = {"prompt": "initial_prompt", "temperature": "temperature", LANGUAGE: "language"}
EXTENSIONS = frozenset(
    {
        *("beam_size", "best_of", "hallucinations", "hotwords", "multilingual", "audio_track", "channel"),
        "encoder_context",
        *("vad_filter", "vad_threshold", "vad_min_silence_ms", "vad_speech_pad_ms"),
        *LAYOUT_NAMES,
        *SPEAKER_EXTENSIONS,
    }
)
# OpenAI's translations take no language; here it names the spoken one.
TRANSLATION_NAMES = frozenset({"model", "prompt", "response_format", "temperature", LANGUAGE}) | EXTENSIONS
TRANSCRIPTION_NAMES = TRANSLATION_NAMES | LIST_NAMES | {"stream", CHUNKING, CHUNKING_TYPE, *VAD}
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


STREAMED = (OpenAIFormat.JSON, OpenAIFormat.TEXT, OpenAIFormat.DIARIZED_JSON)
# OpenAI's model that tells speakers apart shows none in these.
WITHOUT_SPEAKERS = (OpenAIFormat.JSON, OpenAIFormat.TEXT)
Choice = TypeVar("Choice", bound=StrEnum)


@dataclass(frozen=True, slots=True)
class OpenAIRequest:
    """A parsed request. segments, words: whether verbose_json lists them. logprobs: whether json includes them.

    samples: of people who may be among the speakers, whose voices `request` does not have yet.
    """

    request: TranscriptionRequest
    response_format: OpenAIFormat
    layout: SubtitleLayout | None = None
    segments: bool = True
    words: bool = False
    logprobs: bool = False
    stream: bool = False
    samples: tuple[Sample, ...] = ()


def parse(
    fields: Iterable[tuple[str, str]], task: Task, settings: Settings, deployment: str | None = None
) -> OpenAIRequest:
    """Parse the form fields of a request. Raises InvalidParameter and UnknownModel, which name the parameter.

    deployment: the name in a path of Azure's, which selects the model in place of the field `model`.
    """
    form = read_form(fields, TRANSLATION_NAMES if task is Task.TRANSLATE else TRANSCRIPTION_NAMES)
    chosen = as_choice(OpenAIFormat, form.singles.pop("response_format", OpenAIFormat.JSON), "response_format")
    samples = samples_of(*(form.list_of(name) for name in SPEAKER_NAMES))
    if task is Task.TRANSLATE and chosen is OpenAIFormat.DIARIZED_JSON:
        raise InvalidParameter(
            f"'{chosen}' is for transcriptions. Send another format, or diarize=true with it.",
            parameter="response_format",
        )
    if _tells_speakers_apart(form, chosen):
        form.singles["diarize"] = "true"
    words, segments = _granularities(form, chosen)
    logprobs = _logprobs(form, chosen)
    stream = as_boolean(form.singles.pop("stream", "false"), "stream")
    if stream and chosen not in STREAMED:
        raise InvalidParameter(
            f"stream=true sends events, not '{chosen}'. Send response_format=json, or leave 'stream' out.",
            parameter="stream",
        )
    candidates, script = _candidate_languages(form)
    model = _model(form, settings) if deployment is None else resolve_deployment(deployment, settings)
    parameters = _native_parameters(form, task, chosen, model, with_words=words or logprobs)
    parameters.check_speakers(*(SPEAKER_NAMES[:1] if samples else ()))
    request, layout = parameters.to_request(settings), parameters.checked_layout()
    if chosen is OpenAIFormat.DIARIZED_JSON and request.speakers and not parameters.speaker_labels:
        request = replace(request, speakers=replace(request.speakers, labels=LETTERS))
    if len(candidates) > 1:
        request = replace(request, decode=replace(request.decode, languages=candidates))
    if script:
        request = replace(request, script=script)
    return OpenAIRequest(request, chosen, layout, segments, words, logprobs, stream, tuple(samples))


def _tells_speakers_apart(form: Form, chosen: OpenAIFormat) -> bool:
    """Whether the format or the model asks for speakers, in place of our parameter `diarize`."""
    if form.singles.get("channel") == Channel.SPLIT:  # the channels tell them apart
        return False
    if chosen is OpenAIFormat.DIARIZED_JSON:
        return True
    return is_diarizing(form.singles.get("model", "")) and chosen not in WITHOUT_SPEAKERS


def _granularities(form: Form, chosen: OpenAIFormat) -> tuple[bool, bool]:
    """Whether words, and whether segments, are requested."""
    given = {as_choice(Granularity, value, GRANULARITIES) for value in form.list_of(GRANULARITIES)}
    words = Granularity.WORD in given
    if words and chosen is not OpenAIFormat.VERBOSE_JSON:
        raise InvalidParameter(
            f"Words have timestamps in response_format=verbose_json only, not '{chosen}'. Send verbose_json, or leave "
            f"'{GRANULARITIES}[]=word' out.",
            parameter=GRANULARITIES,
        )
    return words, not given or Granularity.SEGMENT in given


def _logprobs(form: Form, chosen: OpenAIFormat) -> bool:
    given = form.list_of(INCLUDE)
    unknown = next((value for value in given if value != LOGPROBS), None)
    if unknown is not None:
        raise InvalidParameter(f"'{unknown[:80]}' cannot be included. Supported: {LOGPROBS}.", parameter=INCLUDE)
    if given and chosen is not OpenAIFormat.JSON:
        raise InvalidParameter(
            f"{LOGPROBS} are available with response_format=json only, not with '{chosen}'.", parameter=INCLUDE
        )
    return bool(given)


def _candidate_languages(form: Form) -> tuple[tuple[str, ...], Script | None]:
    """Codes of the languages that may be spoken, in order, and the script for Chinese that the first of them names.

    A single code becomes `language`.
    """
    found = [_code_and_script(value) for value in form.list_of(LANGUAGES)]
    codes = tuple(dict.fromkeys(code for code, _ in found if code is not None))
    if codes and LANGUAGE in form.singles:
        raise InvalidParameter(
            "'language' is the spoken language, 'languages[]' are candidates for it. Send only one of the two.",
            parameter=LANGUAGES,
        )
    if len(codes) == 1:
        form.singles[LANGUAGE] = codes[0]
    return codes, next((script for _, script in found if script), None)


def _code_and_script(language: str) -> tuple[str | None, Script | None]:
    try:
        return language_code(language), script_of(language)
    except InvalidParameter as error:
        raise InvalidParameter(error.message, parameter=LANGUAGES) from None


def _model(form: Form, settings: Settings) -> str:
    if "model" not in form.singles:
        raise InvalidParameter("You must provide a model parameter. GET /v1/models lists them.", parameter="model")
    return resolve(form.singles["model"], settings)


def _native_parameters(
    form: Form, task: Task, chosen: OpenAIFormat, model: str, *, with_words: bool
) -> TranscriptionParameters:
    """The parameters of POST /transcribe that correspond to the form."""
    singles = form.singles
    given: dict[str, Any] = {"task": task, "response_format": _native_format(chosen), "model": model, **_vad(form)}
    if with_words:
        given["timestamp_granularity"] = Granularity.WORD
    if keywords := form.list_of(KEYWORDS):
        given["hotwords"] = ", ".join(keywords)
    given |= {ours: singles[theirs] for theirs, ours in RENAMED.items() if theirs in singles}
    given |= {name: singles[name] for name in EXTENSIONS if name in singles}
    return as_parameters(given)


def as_parameters(given: Mapping[str, Any]) -> TranscriptionParameters:
    """Parameters of POST /transcribe by name. Raises InvalidParameter, which has OpenAI's name of the parameter."""
    try:
        return TranscriptionParameters.model_validate(given)
    except ValidationError as error:
        raise _explain(error) from None
    except InvalidParameter as error:  # raised by a validator, which pydantic does not wrap
        raise InvalidParameter(error.message, parameter=error.parameter or LANGUAGE) from None


def _native_format(chosen: OpenAIFormat) -> ResponseFormat:
    return ResponseFormat.JSON if chosen is OpenAIFormat.DIARIZED_JSON else ResponseFormat(chosen.value)


def _vad(form: Form) -> dict[str, str]:
    """Our parameters for OpenAI's `chunking_strategy`."""
    kind = form.singles.get(CHUNKING) or form.singles.get(CHUNKING_TYPE)
    details = {name: form.singles[name] for name in VAD if name in form.singles}
    if kind is None and not details:
        return {}
    if kind == BY_ITSELF and not details:
        return {}
    if kind != SERVER_VAD:
        raise InvalidParameter(
            f"'{CHUNKING}' must be '{BY_ITSELF}', or have the type '{SERVER_VAD}' and its parameters.",
            parameter=CHUNKING,
        )
    return {ours: details.get(name, default) for name, (ours, default) in VAD.items()}


def _explain(error: ValidationError) -> InvalidParameter:
    names = {ours: theirs for theirs, ours in RENAMED.items()} | {ours: name for name, (ours, _) in VAD.items()}
    problems = [(names.get(str(item["loc"][0]), str(item["loc"][0])), item["msg"]) for item in error.errors()]
    message = "; ".join(f"{name}: {problem}" for name, problem in problems)
    return InvalidParameter(f"{message}.", parameter=problems[0][0])


def as_boolean(value: str, name: str) -> bool:
    """A boolean as clients write it. name: of the parameter. Raises InvalidParameter."""
    if value.lower() in TRUE:
        return True
    if value.lower() in FALSE:
        return False
    raise InvalidParameter(f"'{name}' must be 'true' or 'false', not '{value[:80]}'.", parameter=name)


def as_choice(kind: type[Choice], value: str, name: str) -> Choice:
    """The member of an enumeration with this value. name: of the parameter. Raises InvalidParameter."""
    try:
        return kind(value)
    except ValueError:
        known: Sequence[str] = list(kind)
        raise InvalidParameter(
            f"'{name}' must be one of {', '.join(known)}, not '{value[:80]}'.", parameter=name
        ) from None
