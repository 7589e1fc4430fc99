"""The messages of WS /live."""

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.hypotheses import segment, words
from transcription.api.live.messages import Start, encode, error_document, event_document, parse, with_words
from transcription.core.errors import InvalidParameter, ServiceUnavailable
from transcription.core.options import Task
from transcription.core.settings import Settings
from transcription.core.speakers import Turn
from transcription.live.events import Failed, Final, Partial, SpeechStarted, SpeechStopped


def refused(text):
    with pytest.raises(InvalidParameter) as caught:
        parse(text)
    return caught.value.message


def test_a_start_without_options_has_those_of_openai_for_turns():
    options = parse('{"type":"start"}').to_options(Settings(whisper_model="demo"))
    turns = options.turn_detection
    assert (turns.threshold, turns.prefix_padding_ms, turns.silence_ms) == (0.5, 300, 500)


def test_options_are_those_of_files():
    text = '{"type":"start","language":"English","task":"translate","hotwords":"Fillmore","turn_detection":null}'
    options = parse(text).to_options(Settings(whisper_model="demo"))
    assert (options.decode.language, options.decode.task, options.decode.hotwords) == ("en", Task.TRANSLATE, "Fillmore")
    assert options.turn_detection is None


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("no JSON", "message"),
        ("[]", "message"),
        ('{"type":"stop"}', "message"),
        ('{"type":"start","languag":"en"}', "languag"),
        ('{"type":"start","sample_rate":4000}', "sample_rate"),
        ('{"type":"start","turn_detection":{"silence_ms":1}}', "turn_detection.silence_ms"),
        ('{"type":"transcript","format":"doc"}', "format"),
    ],
)
def test_what_is_wrong_with_a_message_is_named(text, named):
    assert refused(text).startswith(named)


@given(st.text() | st.recursive(st.none() | st.text(), st.lists).map(json.dumps))
def test_any_text_is_a_message_or_refused(text):
    try:
        parse(text)
    except InvalidParameter as error:
        assert error.message


def test_speakers_are_told_apart_if_that_is_asked_for():
    settings = Settings(whisper_model="demo")
    assert parse('{"type":"start"}').to_options(settings).speakers is None
    speakers = parse('{"type":"start","diarize":true,"max_speakers":3}').to_options(settings).speakers
    assert speakers.most == 3
    with pytest.raises(InvalidParameter, match="diarize"):
        parse('{"type":"start","max_speakers":3}').to_options(settings)


def test_a_final_event_has_segments_with_their_speakers():
    spoken = replace(segment(words("good morning")), speaker="SPEAKER_01")
    final = Final(0, "good morning", (), (spoken,), "en", 0.0, 2.0, (Turn(0.0, 0.8, 1),))
    assert event_document(final)["segments"] == [
        {"start": 0.0, "end": 0.8, "text": "good morning", "speaker": "SPEAKER_01"}
    ]
    assert "segments" not in event_document(replace(final, turns=()))


def test_events_are_flat_objects_with_times_in_seconds():
    assert event_document(SpeechStarted(2, 1.23456)) == {
        "type": "speech",
        "utterance": 2,
        "state": "started",
        "at": 1.23,
    }
    assert event_document(SpeechStopped(2, 3.0))["state"] == "stopped"
    spoken = tuple(words("take the"))
    partial = Partial(0, "take the", " meat", 0.0, 1.2, spoken)
    assert event_document(partial)["confirmed"] == "take the"
    assert [word["word"] for word in with_words(partial)["words"]] == ["take", "the"]
    final = Final(0, "take the", spoken, (segment(list(spoken)),), "en", 0.0, 1.2)
    assert event_document(final)["text"] == "take the"


def test_an_utterance_that_failed_is_an_error_with_its_number():
    document = event_document(Failed(3, ServiceUnavailable("Busy.", retry_after=2.0)))
    expected = {"type": "error", "error": "service_unavailable", "message": "Busy.", "retry_after": 2, "utterance": 3}
    assert document == expected
    assert json.loads(encode(document)) == document


def test_an_error_names_its_code():
    assert error_document(InvalidParameter("wrong"))["error"] == "invalid_parameter"


def test_a_start_is_a_start():
    assert isinstance(parse('{"type":"start"}'), Start)
