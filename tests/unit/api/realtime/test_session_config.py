"""Updates of a Realtime session."""

from __future__ import annotations

import json
from typing import Any

import pytest

from transcription.api.realtime.client_events import BetaSessionUpdate, SessionUpdate, parse
from transcription.api.realtime.session_config import SessionConfig
from transcription.api.realtime.session_document import beta_document, session_document
from transcription.core.errors import InvalidParameter, UnknownModel
from transcription.core.settings import Settings
from transcription.core.speakers import LETTERS, SpeakerOptions
from transcription.live.options import TurnDetection
from transcription.live.pcm import Encoding, PcmFormat


@pytest.fixture
def settings() -> Settings:
    return Settings(whisper_model="base")


NEW = SessionConfig.of_model("whisper-1")


def updated(config: SessionConfig, **audio_input: Any) -> SessionConfig:
    event = parse(
        json.dumps({"type": "session.update", "session": {"type": "transcription", "audio": {"input": audio_input}}})
    )
    assert isinstance(event, SessionUpdate)
    return config.updated(event.session)


def updated_by_beta(config: SessionConfig, **session: Any) -> SessionConfig:
    event = parse(json.dumps({"type": "transcription_session.update", "session": session}))
    assert isinstance(event, BetaSessionUpdate)
    return config.updated_by_beta(event.session)


def test_a_new_session_has_openais_defaults() -> None:
    shown = session_document(NEW, "sess_1")["audio"]["input"]
    assert shown["format"] == {"type": "audio/pcm", "rate": 24000}
    assert shown["turn_detection"] == {
        "type": "server_vad",
        "threshold": 0.5,
        "prefix_padding_ms": 300,
        "silence_duration_ms": 500,
    }


def test_a_field_that_is_left_out_keeps_its_value(settings: Settings) -> None:
    config = updated(NEW, transcription={"language": "de", "prompt": "Ann"}, turn_detection=None)
    config = updated(config, transcription={"prompt": ""})
    options = config.to_options(settings)
    assert options.decode.language == "de"
    assert options.decode.initial_prompt is None
    assert options.turn_detection is None


def test_noise_reduction_is_answered_as_null() -> None:
    config = updated(NEW, noise_reduction={"type": "near_field"})
    assert session_document(config, "sess_1")["audio"]["input"]["noise_reduction"] is None


@pytest.mark.parametrize(
    ("format", "pcm"),
    [
        ({"type": "audio/pcm", "rate": 24000}, PcmFormat(Encoding.INT16, 24000)),
        ({"type": "audio/pcm", "rate": 16000}, PcmFormat(Encoding.INT16, 16000)),
        ({"type": "audio/pcmu"}, PcmFormat(Encoding.MU_LAW, 8000)),
        ({"type": "audio/pcma", "rate": 8000}, PcmFormat(Encoding.A_LAW, 8000)),
    ],
)
def test_audio_formats(format: dict[str, Any], pcm: PcmFormat) -> None:
    assert updated(NEW, format=format).pcm == pcm


def test_the_betas_flat_fields_mean_the_same() -> None:
    beta = updated_by_beta(
        NEW,
        input_audio_format="g711_ulaw",
        input_audio_transcription={"model": "whisper-1", "language": "en"},
        turn_detection={"type": "server_vad", "threshold": 0.4},
        include=["item.input_audio_transcription.logprobs"],
    )
    assert beta.pcm.encoding is Encoding.MU_LAW
    assert beta.language == "en"
    assert beta.turn_detection == TurnDetection(0.4)
    assert beta.logprobs
    assert beta_document(beta, "sess_1")["input_audio_format"] == "g711_ulaw"


def test_semantic_turns_are_answered_as_the_servers() -> None:
    config = updated(NEW, turn_detection={"type": "semantic_vad", "eagerness": "low"})
    assert session_document(config, "sess_1")["audio"]["input"]["turn_detection"]["type"] == "server_vad"
    assert config.turn_detection == TurnDetection(silence_ms=1000)


@pytest.mark.parametrize("model", ["gpt-realtime-whisper", "gpt-live-transcribe"])
def test_with_models_that_detect_no_turns_the_client_commits(model: str, settings: Settings) -> None:
    config = updated(NEW, transcription={"model": model})
    assert config.turn_detection is None
    assert config.to_options(settings).decode.model == "base"
    assert updated(config, turn_detection={"type": "server_vad"}).turn_detection


def test_candidates_for_the_language(settings: Settings) -> None:
    config = updated(NEW, transcription={"languages": ["en", "de-DE"], "keywords": ["Ann", "Bob"]})
    decode = config.to_options(settings).decode
    assert decode.languages == ("en", "de")
    assert decode.hotwords == "Ann, Bob"
    assert updated(NEW, transcription={"languages": ["fr"]}).to_options(settings).decode.language == "fr"


def test_an_unknown_model_is_named_with_its_field(settings: Settings) -> None:
    with pytest.raises(UnknownModel) as caught:
        updated(NEW, transcription={"model": "gpt-17"}).to_options(settings)
    assert caught.value.parameter == "session.audio.input.transcription.model"


@pytest.mark.parametrize("transcription", [{"language": "klingon"}, {"languages": ["klingon"]}])
def test_an_unknown_language_is_refused(transcription: dict[str, Any], settings: Settings) -> None:
    with pytest.raises(InvalidParameter, match="klingon"):
        updated(NEW, transcription=transcription).to_options(settings)


def test_a_model_that_tells_speakers_apart_does_it_here_as_well(settings: Settings) -> None:
    options = updated(NEW, transcription={"model": "gpt-4o-transcribe-diarize"}).to_options(settings)
    assert options.speakers == SpeakerOptions(labels=LETTERS)
    assert NEW.to_options(settings).speakers is None


def test_a_configuration_survives_json() -> None:
    config = updated(
        NEW,
        format={"type": "audio/pcm", "rate": 16000},
        transcription={"languages": ["en", "de"], "keywords": ["Ann"]},
        turn_detection={"type": "server_vad", "silence_duration_ms": 900},
    )
    assert SessionConfig.from_json(json.loads(json.dumps(config.to_json()))) == config
    without = updated(NEW, turn_detection=None)
    assert SessionConfig.from_json(json.loads(json.dumps(without.to_json()))) == without
