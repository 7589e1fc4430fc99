"""What Wyoming's events say: what clients ask for, checked, and the answers."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from runners.models.catalogue import is_english_only, list_allowed
from transcription.api.errors import public_message
from transcription.api.openai.models import resolve
from transcription.api.openai.parameters import as_parameters
from transcription.api.wyoming.framing import Event
from transcription.core.errors import InvalidParameter, TranscriptionError
from transcription.core.languages import LANGUAGES
from transcription.core.settings import Settings
from transcription.live.options import LiveOptions
from transcription.live.pcm import PcmFormat

SAMPLE_BYTES = 2
MAX_NAMES = 100
ATTRIBUTION = {"name": "OpenAI", "url": "https://github.com/openai/whisper"}


class Transcribe(BaseModel):
    """How the audio that follows is transcribed. transcript_names, transcript_terms: words that are likely to occur."""

    model_config = ConfigDict(frozen=True, strict=True)

    name: str | None = None
    language: str | None = None
    transcript_names: list[str] | None = Field(None, max_length=MAX_NAMES)
    transcript_terms: list[str] | None = Field(None, max_length=MAX_NAMES)

    def to_options(self, settings: Settings) -> LiveOptions:
        """The options for the engine. Raises InvalidParameter, UnknownModel."""
        given = {"model": resolve(self.name, settings) if self.name else settings.whisper_model}
        if self.language:
            given["language"] = self.language
        if terms := [*(self.transcript_names or ()), *(self.transcript_terms or ())]:
            given["hotwords"] = ", ".join(terms)
        return LiveOptions(as_parameters(given).to_request(settings).decode, turn_detection=None)


class AudioFormat(BaseModel):
    """The format of audio. rate: Hz. width: bytes of a sample."""

    model_config = ConfigDict(frozen=True, strict=True)

    rate: int
    width: int
    channels: int

    def to_pcm(self) -> PcmFormat:
        """Raises InvalidParameter."""
        if self.width != SAMPLE_BYTES:
            raise InvalidParameter(f"The audio must have {SAMPLE_BYTES} bytes a sample, not {self.width}.")
        return PcmFormat(rate=self.rate, channels=self.channels)


def transcribe_of(event: Event) -> Transcribe:
    """Raises InvalidParameter."""
    try:
        return Transcribe.model_validate(event.data)
    except ValidationError as error:
        raise _refused(event, error) from None


class Ping(BaseModel):
    """text: comes back."""

    model_config = ConfigDict(frozen=True, strict=True)

    text: str | None = None


def format_of(event: Event, default: PcmFormat | None = None) -> PcmFormat:
    """The format that an event of audio names. default: what holds for fields that are left out; None: none may be.

    Raises InvalidParameter.
    """
    known = {"rate": default.rate, "width": SAMPLE_BYTES, "channels": default.channels} if default else {}
    try:
        return AudioFormat.model_validate(known | event.data).to_pcm()
    except ValidationError as error:
        raise _refused(event, error) from None


def info(settings: Settings) -> Event:
    """The answer to `describe`: the models of this service."""
    models = [
        {
            "name": known.name,
            "attribution": ATTRIBUTION,
            "installed": True,
            "description": f"Whisper {known.name}",
            "version": settings.app_version,
            "languages": ["en"] if is_english_only(known.name) else sorted(LANGUAGES),
        }
        for known in list_allowed(settings)
    ]
    program: dict[str, Any] = {
        "name": settings.app_name,
        "attribution": ATTRIBUTION,
        "installed": True,
        "description": "Whisper transcription",
        "version": settings.app_version,
        "models": models,
        "supports_transcript_streaming": True,
    }
    others: dict[str, Any] = {name: [] for name in ("tts", "handle", "intent", "wake", "mic", "snd")}
    return Event("info", {"asr": [program], **others})


def pong_to(event: Event) -> Event:
    """The answer to `ping`. Raises InvalidParameter."""
    try:
        ping = Ping.model_validate(event.data)
    except ValidationError as error:
        raise _refused(event, error) from None
    return Event("pong", ping.model_dump(exclude_none=True))


def started(language: str | None) -> Event:
    """Text will follow."""
    return Event("transcript-start", {"language": language} if language else {})


def chunk(text: str) -> Event:
    """More confirmed text."""
    return Event("transcript-chunk", {"text": text})


def ended(text: str, language: str | None) -> list[Event]:
    """All of the text."""
    return [Event("transcript", {"text": text, "language": language}), Event("transcript-stop")]


def failed(error: TranscriptionError) -> Event:
    """An error."""
    return Event("error", {"text": public_message(error), "code": error.code})


def _refused(event: Event, error: ValidationError) -> InvalidParameter:
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    return InvalidParameter(f"{event.type}: {'.'.join(map(str, first['loc']))}: {first['msg']}.")
