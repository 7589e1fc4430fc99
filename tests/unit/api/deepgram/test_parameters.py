"""The query of WS /v1/listen."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transcription.api.deepgram.parameters import ListenOptions, parse_query
from transcription.core.errors import InvalidParameter, UnknownModel
from transcription.core.settings import Settings
from transcription.core.speakers import SpeakerOptions
from transcription.live.options import TurnDetection
from transcription.live.pcm import Encoding, PcmFormat

SETTINGS = Settings(whisper_model="base")
FORMAT = {"encoding": "linear16", "sample_rate": "16000"}


def parsed(**query: str) -> ListenOptions:
    return parse_query(list((FORMAT | query).items()), SETTINGS)


@pytest.mark.parametrize("model", ["nova-3", "nova-2-phonecall", "whisper-large", "enhanced", ""])
def test_deepgrams_models_mean_the_default_one(model: str) -> None:
    assert parsed(model=model).live.decode.model == "base"


def test_an_unknown_model_is_refused() -> None:
    with pytest.raises(UnknownModel):
        parsed(model="gpt-17")


@pytest.mark.parametrize(
    ("query", "pcm"),
    [
        ({"channels": "2"}, PcmFormat(Encoding.INT16, 16_000, 2)),
        ({"encoding": "mulaw", "sample_rate": ""}, PcmFormat(Encoding.MU_LAW, 8000)),
        ({"encoding": "alaw", "sample_rate": "8000"}, PcmFormat(Encoding.A_LAW, 8000)),
    ],
)
def test_audio_formats(query: dict[str, str], pcm: PcmFormat) -> None:
    assert parsed(**query).pcm == pcm


@pytest.mark.parametrize(
    ("query", "silence_ms"),
    [
        ({}, 300),
        ({"endpointing": "true"}, 300),
        ({"endpointing": "10"}, 200),
        ({"endpointing": "900"}, 900),
        ({"utterance_end_ms": "1000"}, 300),
        ({"endpointing": "500", "utterance_end_ms": "1000"}, 500),
        ({"endpointing": "false", "utterance_end_ms": "1000"}, 1000),
    ],
)
def test_the_pause_that_ends_an_utterance(query: dict[str, str], silence_ms: int) -> None:
    assert parsed(**query).live.turn_detection == TurnDetection(silence_ms=silence_ms)


@pytest.mark.parametrize(
    ("query", "milliseconds"),
    [
        ({}, None),
        ({"utterance_end_ms": ""}, None),
        ({"utterance_end_ms": "1000"}, 1000),
        ({"utterance_end_ms": "1000", "endpointing": "300"}, 1000),
        ({"utterance_end_ms": "1000", "endpointing": "false"}, 1000),
    ],
)
def test_the_time_without_words_after_which_an_utterance_has_ended(
    query: dict[str, str], milliseconds: int | None
) -> None:
    assert parsed(**query).utterance_end_ms == milliseconds


def test_terms_and_languages() -> None:
    query = [*FORMAT.items(), ("keyterm", "Ann"), ("keyterm", "Bob"), ("language", "en-US")]
    decode = parse_query(query, SETTINGS).live.decode
    assert (decode.hotwords, decode.language) == ("Ann, Bob", "en")
    assert parsed(language="multi").live.decode.language is None


def test_speakers_are_told_apart_if_that_is_asked_for() -> None:
    assert parsed(diarize="true").live.speakers == SpeakerOptions()
    assert parsed(diarize="false").live.speakers is None


@pytest.mark.parametrize(
    ("query", "name"),
    [
        ({"encoding": "opus"}, "encoding"),
        ({"sample_rate": "fast"}, "sample_rate"),
        ({"sample_rate": ""}, "sample_rate"),
        ({"multichannel": "true"}, "multichannel"),
        ({"diarize": "perhaps"}, "diarize"),
        ({"endpointing": "soon"}, "endpointing"),
        ({"utterance_end_ms": "soon"}, "utterance_end_ms"),
        ({"utterance_end_ms": "true"}, "utterance_end_ms"),
        ({"interim_results": "perhaps"}, "interim_results"),
    ],
)
def test_what_is_wrong_is_named(query: dict[str, str], name: str) -> None:
    with pytest.raises(InvalidParameter) as refused:
        parsed(**query)
    assert refused.value.parameter == name


NAMES = ["model", "encoding", "sample_rate", "channels", "language", "endpointing", "utterance_end_ms", "keyterm"]


@given(st.lists(st.tuples(st.sampled_from(NAMES) | st.text(), st.text() | st.sampled_from(["linear16", "8000", "2"]))))
def test_any_query_is_accepted_or_refused(pairs: list[tuple[str, str]]) -> None:
    try:
        parse_query(pairs, SETTINGS)
    except InvalidParameter as error:
        assert error.message
