"""The configuration of a Realtime session: what updates change, what the engine gets, and what the client is shown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from pydantic import TypeAdapter

from transcription.api.openai.models import is_diarizing, resolve
from transcription.api.openai.parameters import as_parameters
from transcription.api.realtime.client_events import (
    LOGPROBS,
    PCM,
    PCMA,
    PCMU,
    AudioFormat,
    AudioInput,
    BetaSession,
    SemanticVad,
    ServerVad,
    Session,
    Transcription,
)
from transcription.core.errors import InvalidParameter
from transcription.core.languages import language_code
from transcription.core.options import VAD_THRESHOLD
from transcription.core.settings import Settings
from transcription.core.speakers import LETTERS, SpeakerOptions
from transcription.live.options import PREFIX_PADDING_MS, SILENCE_MS, LiveOptions, TurnDetection
from transcription.live.pcm import TELEPHONE_RATE, Encoding, PcmFormat

PCM_RATE = 24_000  # Hz, OpenAI's
ENCODINGS = {PCM: Encoding.INT16, PCMU: Encoding.MU_LAW, PCMA: Encoding.A_LAW}
BETA_FORMATS = {"pcm16": PCM, "g711_ulaw": PCMU, "g711_alaw": PCMA}
# Models whose turns the client ends: clients know it, and send no turn_detection.
WITHOUT_TURNS = ("gpt-realtime-whisper", "gpt-live-transcribe")
# The pause that ends a turn, for each eagerness of semantic_vad, milliseconds.
EAGERNESS = {"low": 1000, "medium": SILENCE_MS, "high": 300, "auto": SILENCE_MS}
SERVER_VAD = TurnDetection()  # with OpenAI's defaults
PATH = "session.audio.input"


@dataclass(frozen=True, slots=True)
class SessionConfig:
    """One state of a session's configuration. Updates make new ones.

    format: audio/pcm, audio/pcmu or audio/pcma. rate: Hz. model: as the client names it. language: "" to detect it.
    languages: candidates for it. turn_detection: None if the client commits; that of the model unless `turns_chosen`.
    logprobs: whether events have the probabilities of words.
    """

    model: str
    format: str = PCM
    rate: int = PCM_RATE
    language: str = ""
    languages: tuple[str, ...] = ()
    prompt: str = ""
    keywords: tuple[str, ...] = ()
    turn_detection: TurnDetection | None = SERVER_VAD
    turns_chosen: bool = False
    logprobs: bool = False

    @classmethod
    def of_model(cls, model: str) -> SessionConfig:
        """The configuration of a new session."""
        return cls(model).with_model(model)

    @property
    def pcm(self) -> PcmFormat:
        """The format of the client's audio. Raises InvalidParameter."""
        return PcmFormat(ENCODINGS[self.format], self.rate)

    @property
    def include(self) -> list[str]:
        """What events have besides, by OpenAI's names."""
        return [LOGPROBS] if self.logprobs else []

    def with_model(self, model: str) -> SessionConfig:
        """The configuration with another model."""
        if self.turns_chosen:
            return replace(self, model=model)
        return replace(self, model=model, turn_detection=None if model.startswith(WITHOUT_TURNS) else SERVER_VAD)

    def updated(self, session: Session) -> SessionConfig:
        """The configuration after an update, in which fields that are left out keep their values."""
        given = (session.audio and session.audio.input) or AudioInput()
        return self._with_fields(
            session.include if "include" in session.model_fields_set else self.include,
            given.format,
            given.transcription,
            given.turn_detection,
            changes_turns="turn_detection" in given.model_fields_set,
        )

    def updated_by_beta(self, session: BetaSession) -> SessionConfig:
        """The same for an update in the beta's shape."""
        name = session.input_audio_format
        return self._with_fields(
            session.include if "include" in session.model_fields_set else self.include,
            AudioFormat(type=BETA_FORMATS[name]) if name else None,  # type: ignore[arg-type]
            session.input_audio_transcription,
            session.turn_detection,
            changes_turns="turn_detection" in session.model_fields_set,
        )

    def to_options(self, settings: Settings) -> LiveOptions:
        """The options for the engine. Raises InvalidParameter and UnknownModel, which name the field."""
        try:
            return self._to_options(settings)
        except InvalidParameter as error:
            field = f"{PATH}.transcription.{error.parameter}" if error.parameter else ""
            raise type(error)(error.message, error.detail, field) from None

    def to_json(self) -> dict[str, Any]:
        """To be read by `from_json`."""
        return asdict(self)

    @staticmethod
    def from_json(given: dict[str, Any]) -> SessionConfig:
        """The configuration that `to_json` was called for."""
        return _CONFIG.validate_python(given)

    def _with_fields(
        self,
        include: Sequence[str] | None,
        audio: AudioFormat | None,
        transcription: Transcription | None,
        turns: ServerVad | SemanticVad | None,
        *,
        changes_turns: bool,
    ) -> SessionConfig:
        changed = replace(self, logprobs=bool(include))
        if audio:
            rate = (audio.rate or PCM_RATE) if audio.type == PCM else TELEPHONE_RATE
            changed = replace(changed, format=audio.type, rate=rate)
        if changes_turns:
            changed = replace(changed, turn_detection=turn_detection_of(turns), turns_chosen=True)
        return changed._with_transcription(transcription) if transcription else changed

    def _with_transcription(self, given: Transcription) -> SessionConfig:
        fields = given.model_fields_set
        changed = self.with_model(given.model) if given.model else self
        if "language" in fields:
            changed = replace(changed, language=given.language or "")
        if "languages" in fields:
            changed = replace(changed, languages=tuple(given.languages or ()))
        if "prompt" in fields:
            changed = replace(changed, prompt=given.prompt or "")
        if "keywords" in fields:
            changed = replace(changed, keywords=tuple(given.keywords or ()))
        return changed

    def _to_options(self, settings: Settings) -> LiveOptions:
        candidates = tuple(dict.fromkeys(filter(None, map(language_code, self.languages))))
        language = self.language or (candidates[0] if len(candidates) == 1 else "")
        given: dict[str, Any] = {"model": resolve(self.model, settings)}
        given |= {"language": language} if language else {}
        given |= {"initial_prompt": self.prompt} if self.prompt else {}
        given |= {"hotwords": ", ".join(self.keywords)} if self.keywords else {}
        decode = as_parameters(given).to_request(settings).decode
        if not decode.language:
            decode = replace(decode, languages=candidates)
        speakers = SpeakerOptions(labels=LETTERS) if is_diarizing(self.model) else None
        return LiveOptions(decode, self.turn_detection, words=self.logprobs, speakers=speakers)


_CONFIG: TypeAdapter[SessionConfig] = TypeAdapter(SessionConfig)


def turn_detection_of(given: ServerVad | SemanticVad | None) -> TurnDetection | None:
    """The engine's turn detection. Fields that are left out have OpenAI's defaults."""
    if given is None:
        return None
    if isinstance(given, SemanticVad):
        return TurnDetection(silence_ms=EAGERNESS[given.eagerness or "auto"])
    return TurnDetection(
        VAD_THRESHOLD if given.threshold is None else given.threshold,
        PREFIX_PADDING_MS if given.prefix_padding_ms is None else given.prefix_padding_ms,
        SILENCE_MS if given.silence_duration_ms is None else given.silence_duration_ms,
    )
