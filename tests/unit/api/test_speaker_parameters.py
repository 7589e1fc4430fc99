"""Telling speakers apart, as request parameters."""

from __future__ import annotations

import pytest

from transcription.api.openai.parameters import parse
from transcription.api.parameters.parsing import parse_parameters
from transcription.core.errors import InvalidParameter
from transcription.core.options import Task, TranscriptionRequest
from transcription.core.settings import Settings
from transcription.core.speakers import LETTERS, SpeakerOptions


def asked(**given: str) -> TranscriptionRequest:
    return parse_parameters([], given.items()).to_request(Settings(whisper_model="demo", _env_file=None))


def test_speakers_are_told_apart_only_if_requested() -> None:
    assert asked().speakers is None
    assert asked(diarize="false").speakers is None
    assert asked(diarize="true").speakers == SpeakerOptions()


def test_what_is_known_about_them_reaches_the_request() -> None:
    speakers = asked(diarize="true", min_speakers="2", max_speakers="4", speaker_labels="Voice ").speakers
    assert speakers == SpeakerOptions(min_speakers=2, max_speakers=4, labels="Voice ")
    assert asked(diarize="true", num_speakers="3").speakers == SpeakerOptions(num_speakers=3)


def test_words_are_timed_for_it_and_not_shown_unless_requested() -> None:
    request = asked(diarize="true")
    assert (request.decode.word_timestamps, request.decoded_with.word_timestamps) == (False, True)
    assert asked(diarize="true", timestamp_granularity="word").decode.word_timestamps


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"num_speakers": "0"}, "num_speakers: .* greater than or equal to 1"),
        ({"min_speakers": "-1"}, "min_speakers: .* greater than or equal to 1"),
        ({"num_speakers": "200"}, "num_speakers: .* less than or equal to 50"),
        ({"max_speakers": "51"}, "max_speakers: .* less than or equal to 50"),
        ({"num_speakers": "two"}, "num_speakers: .* valid integer"),
        ({"min_speakers": "3", "max_speakers": "2"}, r"min_speakers \(3\) is more than max_speakers \(2\)"),
        ({"num_speakers": "2", "max_speakers": "2"}, "not both"),
        ({"speaker_labels": "x" * 99}, "speaker_labels: .* at most 98"),
        ({"speaker_labels": "a\nb"}, "line breaks"),
    ],
)
def test_what_makes_no_sense_is_refused(given: dict[str, str], message: str) -> None:
    with pytest.raises(InvalidParameter, match=message):
        asked(diarize="true", **given)


@pytest.mark.parametrize(
    "given", [{"num_speakers": "2"}, {"min_speakers": "2"}, {"max_speakers": "2"}, {"speaker_labels": "A"}]
)
def test_what_has_no_effect_without_diarize_is_refused(given: dict[str, str]) -> None:
    with pytest.raises(InvalidParameter, match="needs diarize=true"):
        asked(**given)


def test_rttm_needs_speakers() -> None:
    with pytest.raises(InvalidParameter, match="Send diarize=true"):
        asked(response_format="rttm")
    assert asked(response_format="rttm", diarize="true").speakers


def test_the_query_may_have_one_part_and_the_form_the_other() -> None:
    settings = Settings(whisper_model="demo", _env_file=None)
    query = [("response_format", "rttm"), ("num_speakers", "2")]
    parse_parameters(query).to_request(settings, complete=False)
    assert parse_parameters(query, [("diarize", "true")]).to_request(settings).speakers == SpeakerOptions(2)


def test_a_speaker_a_channel_needs_no_diarize() -> None:
    assert asked(channel="split").speakers == SpeakerOptions()
    assert asked(channel="split", response_format="rttm", speaker_labels="Line ").speakers == SpeakerOptions(
        labels="Line "
    )
    assert asked(channel="split").decoded_with.word_timestamps


@pytest.mark.parametrize("given", [{"diarize": "true"}, {"num_speakers": "2"}])
def test_a_speaker_a_channel_and_speakers_by_voice_do_not_go_together(given: dict[str, str]) -> None:
    with pytest.raises(InvalidParameter):
        asked(channel="split", **given)


@pytest.mark.parametrize(
    ("given", "speakers"),
    [
        ({"response_format": "diarized_json"}, SpeakerOptions(labels=LETTERS)),
        ({"response_format": "diarized_json", "channel": "split"}, SpeakerOptions(labels=LETTERS)),
        ({"response_format": "diarized_json", "speaker_labels": "P"}, SpeakerOptions(labels="P")),
        ({"response_format": "json", "diarize": "true"}, SpeakerOptions()),
        ({"response_format": "srt", "model": "gpt-4o-transcribe-diarize"}, SpeakerOptions()),
        ({"response_format": "text", "model": "gpt-4o-transcribe-diarize"}, None),
        ({"response_format": "srt"}, None),
    ],
)
def test_openais_names_for_it(given: dict[str, str], speakers: SpeakerOptions | None) -> None:
    form = {"model": "whisper-1", **given}
    settings = Settings(whisper_model="demo", _env_file=None)
    assert parse(form.items(), Task.TRANSCRIBE, settings).request.speakers == speakers
