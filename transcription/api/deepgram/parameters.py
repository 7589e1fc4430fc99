"""The query of WS /v1/listen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from transcription.api.openai.models import resolve
from transcription.api.openai.parameters import as_boolean, as_parameters
from transcription.core.errors import InvalidParameter
from transcription.core.settings import Settings
from transcription.core.speakers import SpeakerOptions
from transcription.live.options import LiveOptions, TurnDetection
from transcription.live.pcm import TELEPHONE_RATE, Encoding, PcmFormat

ENCODINGS = {"linear16": Encoding.INT16, "mulaw": Encoding.MU_LAW, "alaw": Encoding.A_LAW}
# Deepgram's own models, such as nova-3-medical, mean the default one. So does whisper-large without a version.
OWN_MODELS = ("nova", "enhanced", "flux", "general", "whisper")
LEAST_PAUSE_MS, MOST_PAUSE_MS = 200, 10_000  # what the engine tells apart
DEFAULT_PAUSE_MS = 300
DETECT = "multi"  # Deepgram's value of `language` for several
# What changes the text or adds to it in ways that this service does not have. A client would wait in vain.
UNSUPPORTED = ("multichannel", "redact", "detect_entities", "search", "replace", "callback", "translate")


@dataclass(frozen=True, slots=True)
class ListenOptions:
    """What a client asks for.

    interim_results: whether text that may change is sent. vad_events: whether it is told that someone begins to speak.
    ends_speech: whether results say that someone has stopped. utterance_end_ms: the time without words after which a
    message says so, whatever pauses are between results; None for no such message.
    """

    live: LiveOptions
    pcm: PcmFormat
    model: str
    interim_results: bool = False
    vad_events: bool = False
    ends_speech: bool = True
    utterance_end_ms: int | None = None


def parse_query(pairs: Sequence[tuple[str, str]], settings: Settings) -> ListenOptions:
    """The options in a query. Raises InvalidParameter, which names the parameter, and UnknownModel."""
    query = dict(pairs)
    for name in UNSUPPORTED:
        if query.get(name, "false") not in ("false", ""):
            raise InvalidParameter(f"'{name}' is not supported in live sessions. Leave it out.", parameter=name)
    model = query.get("model", "")
    given = {"model": resolve_model(model, settings)}
    language = query.get("language", "")
    if language and language != DETECT:
        given["language"] = language
    terms = [value for name, value in pairs if name in ("keyterm", "keywords")]
    if terms:
        given["hotwords"] = ", ".join(term.partition(":")[0] for term in terms)  # of NAME:WEIGHT
    ends_speech = query.get("endpointing", "").lower() != "false"
    utterance_end_ms = _utterance_end_ms(query)
    # Without endpointing no pause is final, but the text is to be complete before UtteranceEnd.
    pause = _endpointing(query) if ends_speech else utterance_end_ms or DEFAULT_PAUSE_MS
    return ListenOptions(
        live=LiveOptions(
            as_parameters(given).to_request(settings).decode,
            TurnDetection(silence_ms=pause),
            words=True,
            speakers=SpeakerOptions() if _flag(query, "diarize") else None,
        ),
        pcm=_pcm(query),
        model=model,
        interim_results=_flag(query, "interim_results"),
        vad_events=_flag(query, "vad_events"),
        ends_speech=ends_speech,
        utterance_end_ms=utterance_end_ms,
    )


def resolve_model(name: str, settings: Settings) -> str:
    """The model that a name means. Raises UnknownModel, ModelNotAllowed."""
    if not name or name.lower().startswith(OWN_MODELS):
        try:
            return resolve(name, settings)
        except InvalidParameter:
            return settings.whisper_model
    return resolve(name, settings)


def _pcm(query: dict[str, str]) -> PcmFormat:
    encoding = query.get("encoding", "")
    if encoding not in ENCODINGS:
        raise InvalidParameter(
            f"'encoding' must be one of {', '.join(ENCODINGS)}, not '{encoding[:80]}'. Send the audio without a "
            "container, or use WS /live, which takes WebM and Ogg.",
            parameter="encoding",
        )
    default = "" if encoding == "linear16" else str(TELEPHONE_RATE)
    rate, channels = (
        _integer(query.get(name) or preset, name) for name, preset in (("sample_rate", default), ("channels", "1"))
    )
    return PcmFormat(ENCODINGS[encoding], rate, channels)


def _endpointing(query: dict[str, str]) -> int:
    """The pause after which speech is final. Deepgram's own default, 10 ms, is shorter than the least."""
    value = query.get("endpointing", "")
    return DEFAULT_PAUSE_MS if value.lower() in ("", "true") else _milliseconds(value, "endpointing")


def _utterance_end_ms(query: dict[str, str]) -> int | None:
    value = query.get("utterance_end_ms", "")
    return None if value.lower() in ("", "false") else _milliseconds(value, "utterance_end_ms")


def _milliseconds(value: str, name: str) -> int:
    """The length of a pause as the engine takes it."""
    return max(LEAST_PAUSE_MS, min(MOST_PAUSE_MS, _integer(value, name)))


def _integer(value: str, name: str) -> int:
    if not (value.isascii() and value.isdigit() and len(value) < 10):
        raise InvalidParameter(f"'{name}' must be a whole number, not '{value[:80]}'.", parameter=name)
    return int(value)


def _flag(query: dict[str, str], name: str) -> bool:
    return as_boolean(query.get(name) or "false", name)
