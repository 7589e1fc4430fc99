"""Client events: accepted, or refused with an error that names the field."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transcription.api.realtime.client_events import (
    BY_TYPE,
    MAX_EVENT_CHARACTERS,
    Append,
    BetaSessionUpdate,
    EventError,
    SessionUpdate,
    parse,
)


def refused(event: Any) -> EventError:
    with pytest.raises(EventError) as caught:
        parsed = parse(event if isinstance(event, str) else json.dumps(event))
        parsed.decoded()  # type: ignore[union-attr]
    return caught.value


def update(**audio_input: Any) -> dict[str, Any]:
    return {"type": "session.update", "session": {"type": "transcription", "audio": {"input": audio_input}}}


def test_audio_is_decoded() -> None:
    event = parse('{"type": "input_audio_buffer.append", "audio": "AAEC"}')
    assert isinstance(event, Append)
    assert event.decoded() == b"\x00\x01\x02"


def test_a_session_without_type_and_audio_is_the_betas() -> None:
    event = parse('{"type": "session.update", "session": {"input_audio_format": "pcm16"}}')
    assert isinstance(event, BetaSessionUpdate)
    assert isinstance(parse(json.dumps(update())), SessionUpdate)


@pytest.mark.parametrize("session", [{}, {"include": ["item.input_audio_transcription.logprobs"]}])
def test_an_update_that_both_dialects_know_is_in_that_of_the_session(session: dict[str, Any]) -> None:
    event = json.dumps({"type": "session.update", "session": session})
    assert isinstance(parse(event, is_beta=True), BetaSessionUpdate)
    with pytest.raises(EventError) as caught:
        parse(event)
    assert (caught.value.code, caught.value.param) == ("missing_required_parameter", "session.type")


def test_every_field_of_openais_schema_is_accepted() -> None:
    parse(
        json.dumps(
            update(
                format={"type": "audio/pcm", "rate": 24000},
                noise_reduction={"type": "near_field"},
                transcription={
                    "model": "gpt-4o-transcribe",
                    "language": "en",
                    "languages": ["en", "de"],
                    "prompt": "Names",
                    "keywords": ["Ann"],
                    "delay": "low",
                },
                turn_detection={
                    "type": "server_vad",
                    "threshold": 1,
                    "prefix_padding_ms": 300,
                    "silence_duration_ms": 500,
                    "create_response": True,
                    "interrupt_response": False,
                    "idle_timeout_ms": None,
                },
            )
        )
    )


@pytest.mark.parametrize(
    ("event", "code", "param"),
    [
        ("{", "invalid_json", None),
        ("[]", "invalid_value", None),
        ({}, "missing_required_parameter", "type"),
        ({"type": "response.create"}, "invalid_value", "type"),
        ({"type": "input_audio_buffer.append"}, "missing_required_parameter", "audio"),
        ({"type": "input_audio_buffer.append", "audio": "?"}, "invalid_value", "audio"),
        ({"type": "input_audio_buffer.append", "audio": "é"}, "invalid_value", "audio"),
        ({"type": "input_audio_buffer.append", "audio": 1}, "invalid_value", "audio"),
        ({"type": "input_audio_buffer.commit", "now": True}, "unknown_parameter", "now"),
        ({"type": "session.update", "session": {"type": "realtime"}}, "invalid_value", "session.type"),
        (update(format={"type": "audio/mp3"}), "invalid_value", "session.audio.input.format.type"),
        (update(format={"rate": 4000}), "invalid_value", "session.audio.input.format.rate"),
        (update(format={"type": "audio/pcmu", "rate": 16000}), "invalid_value", "session.audio.input.format.rate"),
        (update(format={"rate": 24000, "type": "audio/pcma"}), "invalid_value", "session.audio.input.format.rate"),
        (update(voice="alloy"), "unknown_parameter", "session.audio.input.voice"),
        (
            update(turn_detection={"type": "server_vad", "threshold": 2}),
            "invalid_value",
            "session.audio.input.turn_detection.threshold",
        ),
    ],
)
def test_what_is_wrong_is_named(event: Any, code: str, param: str | None) -> None:
    error = refused(event)
    assert (error.code, error.param) == (code, param)


def test_an_error_names_the_clients_event() -> None:
    assert refused({"type": "input_audio_buffer.append", "event_id": "mine"}).event_id == "mine"
    assert refused({"type": "input_audio_buffer.append", "event_id": "mine", "audio": "?"}).event_id == "mine"


def test_an_event_that_is_too_large_is_refused() -> None:
    error = refused({"type": "input_audio_buffer.append", "audio": "A" * MAX_EVENT_CHARACTERS})
    assert error.code == "string_above_max_length"
    assert str(MAX_EVENT_CHARACTERS) in error.message


TEXTS = st.text(st.characters(codec="utf-8"))  # a text frame has no others
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXTS | st.sampled_from(sorted(BY_TYPE)),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["type", "session", "audio", "input", "event_id", "format"]) | TEXTS, inner)
    ),
    max_leaves=20,
)
EVENTS = st.fixed_dictionaries(
    {"type": st.sampled_from(sorted(BY_TYPE)) | TEXTS},
    optional={"session": VALUES, "audio": VALUES, "event_id": VALUES},
)


@given(TEXTS | VALUES.map(json.dumps) | EVENTS.map(json.dumps))
def test_any_text_is_an_event_or_an_error(text: str) -> None:
    try:
        event = parse(text)
        if isinstance(event, Append):
            event.decoded()
    except EventError as error:
        assert error.message
        assert error.code
        json.dumps(error.param)


@pytest.mark.parametrize("text", ['{"type":' * 5000, "[" * 100_000, '{"type": "\\ud800"}', '{"type": 1e999}'])
def test_hostile_json_is_an_error(text: str) -> None:
    assert refused(text).message
