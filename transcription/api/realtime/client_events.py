"""The events that clients of OpenAI's Realtime API send: parsed strictly, in the shapes of the API and of its beta."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from transcription.api.parameters.transcription import MAX_PROMPT_CHARACTERS
from transcription.live.options import MOST_PADDING_MS
from transcription.live.pcm import LEAST_RATE, MOST_RATE, TELEPHONE_RATE

MAX_EVENT_CHARACTERS = 1_000_000  # 15 s of audio at 24 kHz in base64; clients send 20 to 100 ms
MAX_ID_CHARACTERS = 512
MAX_NAMES = 100  # languages, keywords
MAX_NAME_CHARACTERS = 200
LEAST_SILENCE_MS, MOST_SILENCE_MS = 200, 10_000
LOGPROBS = "item.input_audio_transcription.logprobs"

PCM, PCMU, PCMA = "audio/pcm", "audio/pcmu", "audio/pcma"
Name = Annotated[str, Field(max_length=MAX_NAME_CHARACTERS)]
Names = Annotated[list[Name], Field(max_length=MAX_NAMES)]


class EventError(Exception):
    """A client event that is refused with an `error` event; the session goes on.

    code: OpenAI's. param: the path of the field, such as session.audio.input.format.rate. event_id: the client's.
    """

    def __init__(self, message: str, code: str, param: str | None = None, event_id: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.param = param
        self.event_id = event_id


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class AudioFormat(_Strict):
    """rate: Hz. That of audio/pcmu and audio/pcma, which are G.711, is 8000."""

    type: Literal["audio/pcm", "audio/pcmu", "audio/pcma"] = "audio/pcm"
    rate: int | None = Field(None, ge=LEAST_RATE, le=MOST_RATE)

    @field_validator("rate")
    @classmethod
    def _rate_of_telephones(cls, rate: int | None, info: ValidationInfo) -> int | None:
        kind = info.data.get("type")
        if kind in (PCMU, PCMA) and rate not in (None, TELEPHONE_RATE):
            raise PydanticCustomError("telephone_rate", f"{kind} has {TELEPHONE_RATE} Hz. Resample it, or send {PCM}")
        return rate


class NoiseReduction(_Strict):
    """Accepted; the audio is transcribed as it is."""

    type: Literal["near_field", "far_field"] | None = None
    strength: float | None = None


class Transcription(_Strict):
    """Which model transcribes, and what it is told. delay: accepted, text is sent once it is confirmed."""

    model: Name | None = None
    language: Name | None = None
    languages: Names | None = None
    prompt: str | None = Field(None, max_length=MAX_PROMPT_CHARACTERS)
    keywords: Names | None = None
    delay: Literal["minimal", "low", "medium", "high", "xhigh"] | None = None


class ServerVad(_Strict):
    """The server ends the turn. Of conversations, and ignored: create_response, interrupt_response, idle_timeout_ms."""

    type: Literal["server_vad"]
    threshold: float | None = Field(None, ge=0, le=1)
    prefix_padding_ms: int | None = Field(None, ge=0, le=MOST_PADDING_MS)
    silence_duration_ms: int | None = Field(None, ge=LEAST_SILENCE_MS, le=MOST_SILENCE_MS)
    create_response: bool | None = None
    interrupt_response: bool | None = None
    idle_timeout_ms: int | None = None


class SemanticVad(_Strict):
    """OpenAI's model of turns; here the pause decides, and eagerness says how long it is."""

    type: Literal["semantic_vad"]
    eagerness: Literal["low", "medium", "high", "auto"] | None = None
    create_response: bool | None = None
    interrupt_response: bool | None = None


TurnDetectionFields = Annotated[ServerVad | SemanticVad, Field(discriminator="type")]
Include = Annotated[list[Literal["item.input_audio_transcription.logprobs"]], Field(max_length=1)]


class AudioInput(_Strict):
    """What `session.audio.input` may have."""

    format: AudioFormat | None = None
    noise_reduction: NoiseReduction | None = None
    transcription: Transcription | None = None
    turn_detection: TurnDetectionFields | None = None


class Audio(_Strict):
    """What `session.audio` may have."""

    input: AudioInput | None = None


class Session(_Strict):
    """A session. A field that is left out keeps its value."""

    type: Literal["transcription"]
    audio: Audio | None = None
    include: Include | None = None


class BetaSession(_Strict):
    """A session in the beta's shape, without `type`."""

    input_audio_format: Literal["pcm16", "g711_ulaw", "g711_alaw"] | None = None
    input_audio_transcription: Transcription | None = None
    input_audio_noise_reduction: NoiseReduction | None = None
    turn_detection: TurnDetectionFields | None = None
    include: Include | None = None
    modalities: list[Name] | None = Field(None, max_length=MAX_NAMES, description="Accepted, and ignored.")


class _Event(_Strict):
    event_id: str | None = Field(None, max_length=MAX_ID_CHARACTERS)


class SessionUpdate(_Event):
    """Changes the session."""

    type: Literal["session.update"]
    session: Session


class BetaSessionUpdate(_Event):
    """Changes the session, in the beta's shape."""

    type: Literal["session.update", "transcription_session.update"]
    session: BetaSession


class Append(_Event):
    """Audio, in base64."""

    type: Literal["input_audio_buffer.append"]
    audio: str

    def decoded(self) -> bytes:
        """The audio. Raises EventError."""
        try:
            return base64.b64decode(self.audio, validate=True)
        except (binascii.Error, ValueError):
            raise EventError(
                "Invalid 'audio'. Expected base64-encoded audio bytes.", "invalid_value", "audio", self.event_id
            ) from None


class Commit(_Event):
    """Ends the turn."""

    type: Literal["input_audio_buffer.commit"]


class Clear(_Event):
    """Forgets the audio of the turn."""

    type: Literal["input_audio_buffer.clear"]


ClientEvent = SessionUpdate | BetaSessionUpdate | Append | Commit | Clear
BY_TYPE: dict[str, TypeAdapter[Any]] = {
    "session.update": TypeAdapter(SessionUpdate),
    "transcription_session.update": TypeAdapter(BetaSessionUpdate),
    "input_audio_buffer.append": TypeAdapter(Append),
    "input_audio_buffer.commit": TypeAdapter(Commit),
    "input_audio_buffer.clear": TypeAdapter(Clear),
}
_BETA_UPDATE: TypeAdapter[Any] = TypeAdapter(BetaSessionUpdate)
_ONLY_BETA = BetaSession.model_fields.keys() - Session.model_fields.keys()
# Pydantic's kinds of errors, and OpenAI's codes for them. The others are invalid values.
CODES = {"missing": "missing_required_parameter", "extra_forbidden": "unknown_parameter"}


@dataclass(frozen=True, slots=True)
class _Envelope:
    type: str
    event_id: str | None
    is_beta: bool


def parse(text: str, *, is_beta: bool = False) -> ClientEvent:
    """Parse one message. Raises EventError for everything that is not an event of a transcription session.

    is_beta: whether an update that both dialects could have sent is in the beta's.
    """
    if len(text) > MAX_EVENT_CHARACTERS:
        raise EventError(
            f"The event is longer than {MAX_EVENT_CHARACTERS} characters, the limit. Send the audio in smaller pieces.",
            "string_above_max_length",
        )
    envelope = _open(text, is_beta=is_beta)
    adapter = BY_TYPE.get(envelope.type)
    if adapter is None:
        raise EventError(
            f"Invalid value: '{envelope.type[:80]}'. Supported values are: {', '.join(map(repr, BY_TYPE))}.",
            "invalid_value",
            "type",
            envelope.event_id,
        )
    try:
        event: ClientEvent = (_BETA_UPDATE if envelope.is_beta else adapter).validate_json(text)
        return event
    except ValidationError as error:
        raise explained(error, envelope.event_id) from None


def explained(error: ValidationError, event_id: str | None = None) -> EventError:
    """The first problem that pydantic found, as OpenAI words it."""
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    # The tag of a union is in the place as well: ('session', ..., 'turn_detection', 'server_vad', 'threshold').
    param = ".".join(str(part) for part in first["loc"] if part not in ("server_vad", "semantic_vad")) or None
    shown = f"'{param[:MAX_NAME_CHARACTERS]}'" if param else "the event"
    messages = {
        "missing": f"Missing required parameter: {shown}.",
        "extra_forbidden": f"Unknown parameter: {shown}.",
    }
    message = messages.get(first["type"], f"Invalid value for {shown}: {first['msg']}.")
    return EventError(
        message, CODES.get(first["type"], "invalid_value"), param and param[:MAX_NAME_CHARACTERS], event_id
    )


class _Head(BaseModel):
    """The type of an event; its other fields are looked at once it is known."""

    type: str
    event_id: Any = None
    session: Any = None


def _open(text: str, *, is_beta: bool) -> _Envelope:
    try:
        head = _Head.model_validate_json(text, strict=True)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        if first["type"] == "json_invalid":
            raise EventError(f"The event is not valid JSON: {first['msg']}.", "invalid_json") from None
        raise explained(error) from None
    event_id = head.event_id if isinstance(head.event_id, str) else None
    is_flat = head.type == "session.update" and _is_flat(head.session, is_beta=is_beta)
    return _Envelope(head.type, event_id and event_id[:MAX_ID_CHARACTERS], is_flat)


def _is_flat(session: Any, *, is_beta: bool) -> bool:
    """Whether a session is in the beta's shape. is_beta: whether one that may be in both is."""
    if not isinstance(session, dict) or "type" in session or "audio" in session:
        return False
    return is_beta or not _ONLY_BETA.isdisjoint(session)
