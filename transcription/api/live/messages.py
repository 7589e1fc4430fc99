"""The messages of WS /live: what clients send, checked, and what they get, as JSON."""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from formats.json import TIME_DIGITS, speaker_of, word_to_dict
from formats.registry import ResponseFormat
from transcription.api.parameters.transcription import MAX_BEAM_SIZE, MAX_PROMPT_CHARACTERS, RecordingParameters
from transcription.core.audio import SAMPLE_RATE
from transcription.core.errors import InvalidParameter, TranscriptionError, as_failure
from transcription.core.languages import language_tag
from transcription.core.options import HallucinationPolicy, Task
from transcription.core.settings import Settings
from transcription.core.speakers import MAX_SPEAKERS, SpeakerOptions
from transcription.core.transcript import Segment
from transcription.live.events import Final, LiveEvent, Partial, SpeechStarted, SpeechStopped
from transcription.live.options import (
    MOST_PADDING_MS,
    PREFIX_PADDING_MS,
    SILENCE_MS,
    LiveOptions,
    TurnDetection,
)

# By encoding: ffmpeg's demuxer of the container, or None for PCM.
DEMUXERS = {"pcm_s16le": None, "webm": "matroska", "ogg": "ogg"}
MAX_SHOWN_CHARACTERS = 200  # of a field that is wrong, and of what is wrong with it
Document = dict[str, Any]


class _Message(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class TurnParameters(_Message):
    """`turn_detection` of `start`."""

    threshold: float = Field(0.5, ge=0, le=1)
    prefix_padding_ms: int = Field(PREFIX_PADDING_MS, ge=0, le=MOST_PADDING_MS)
    silence_ms: int = Field(SILENCE_MS, ge=200, le=10_000)


class Start(_Message):
    """The first message of a session."""

    type: Literal["start"]
    encoding: Literal["pcm_s16le", "webm", "ogg"] = "pcm_s16le"
    sample_rate: int = Field(SAMPLE_RATE, ge=8_000, le=48_000)
    language: Annotated[str, AfterValidator(language_tag)] | None = None
    model: str | None = None
    task: Task = Task.TRANSCRIBE
    beam_size: int = Field(5, ge=1, le=MAX_BEAM_SIZE)
    initial_prompt: str | None = Field(None, max_length=MAX_PROMPT_CHARACTERS)
    hotwords: str | None = Field(None, max_length=MAX_PROMPT_CHARACTERS)
    turn_detection: TurnParameters | None = Field(default_factory=TurnParameters)
    words: bool = False
    hallucinations: HallucinationPolicy = HallucinationPolicy.DROP
    diarize: bool = False
    max_speakers: int | None = Field(None, ge=1, le=MAX_SPEAKERS)

    def to_options(self, settings: Settings) -> LiveOptions:
        """The options of the session. Raises UnknownModel, ModelNotAllowed, InvalidParameter."""
        shared = ("language", "model", "task", "beam_size", "initial_prompt", "hotwords", "hallucinations")
        recording = RecordingParameters(**{name: getattr(self, name) for name in shared})
        turns = self.turn_detection
        if self.max_speakers and not self.diarize:
            raise InvalidParameter("max_speakers needs diarize. Send both, or neither.", parameter="max_speakers")
        return LiveOptions(
            recording.to_request(settings).decode,
            TurnDetection(turns.threshold, turns.prefix_padding_ms, turns.silence_ms) if turns else None,
            self.words,
            self.hallucinations,
            SpeakerOptions(max_speakers=self.max_speakers) if self.diarize else None,
        )


class Resume(_Message):
    """The first message after a dropped connection. after: `n` of the last event that arrived."""

    type: Literal["resume"]
    session: str = Field(max_length=100)
    token: str = Field(max_length=100)
    after: int = Field(0, ge=0)


class Control(_Message):
    """A message without fields."""

    type: Literal["commit", "clear", "finish", "keepalive"]


class WantTranscript(_Message):
    """A request for the text of all utterances so far in a format."""

    type: Literal["transcript"]
    format: ResponseFormat = ResponseFormat.JSON


ClientMessage = Start | Resume | Control | WantTranscript
_MESSAGES: TypeAdapter[ClientMessage] = TypeAdapter(Annotated[ClientMessage, Field(discriminator="type")])


def parse(text: str) -> ClientMessage:
    """A text frame. Raises InvalidParameter, which names what is wrong."""
    try:
        return _MESSAGES.validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        # Both may hold what the client sent, as long as it is.
        where = ".".join(str(part) for part in first["loc"][1:])[:MAX_SHOWN_CHARACTERS] or "message"
        what = first["msg"][:MAX_SHOWN_CHARACTERS]
        raise InvalidParameter(f"{where}: {what}. docs/LIVE.md lists the messages.", parameter=where) from None


def event_document(event: LiveEvent) -> Document:
    """An event of a session."""
    if isinstance(event, SpeechStarted | SpeechStopped):
        state = "started" if isinstance(event, SpeechStarted) else "stopped"
        return {"type": "speech", "utterance": event.utterance, "state": state, "at": _time(event.at)}
    if isinstance(event, Partial):
        return {
            "type": "partial",
            "utterance": event.utterance,
            "confirmed": event.confirmed,
            "tentative": event.tentative,
            "start": _time(event.start),
            "end": _time(event.end),
        }
    if isinstance(event, Final):
        return _final(event)
    return {**error_document(event.error), "utterance": event.utterance}


def with_words(event: LiveEvent) -> Document:
    """An event of a session whose client wants the times of words."""
    document = event_document(event)
    if isinstance(event, Partial):
        document["words"] = [word_to_dict(word) for word in event.words]
    return document


def error_document(error: TranscriptionError, message: str = "") -> Document:
    """An error event. message: in place of the error's own."""
    failure = as_failure(error)
    document: Document = {"type": "error", "error": failure.code, "message": message or failure.message}
    if failure.retry_after is not None:
        document["retry_after"] = max(1, round(failure.retry_after))
    return document


def encode(document: Document) -> str:
    """A document as a text frame."""
    return json.dumps(document, ensure_ascii=False, separators=(",", ":"))


def _final(event: Final) -> Document:
    document: Document = {
        "type": "final",
        "utterance": event.utterance,
        "text": event.text,
        "language": event.language,
        "start": _time(event.start),
        "end": _time(event.end),
    }
    if event.words:
        document["words"] = [word_to_dict(word) for word in event.words]
    if event.turns:
        document["segments"] = [_segment(segment) for segment in event.segments]
    return document


def _segment(segment: Segment) -> Document:
    times = {"start": _time(segment.start), "end": _time(segment.end)}
    return {**times, "text": segment.text.strip(), **speaker_of(segment)}


def _time(seconds: float) -> float:
    return round(seconds, TIME_DIGITS)
