from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from formats.registry import ResponseFormat
from formats.subtitles.layout import SubtitleLayout
from transcription.api.parameters.parsing import NAMES, json_fields, parse_parameters
from transcription.api.parameters.transcription import Granularity, temperatures_from
from transcription.core.errors import InvalidParameter, UnknownModel
from transcription.core.languages import Script
from transcription.core.options import EncoderContext, HallucinationPolicy, Task, VadOptions
from transcription.core.settings import Settings


@pytest.fixture
def settings() -> Settings:
    return Settings(whisper_model="demo", allowed_models="*")


def test_without_parameters_the_defaults_of_the_contract_apply(settings: Settings) -> None:
    parameters = parse_parameters([])
    request = parameters.to_request(settings)
    assert (parameters.response_format, parameters.timestamp_granularity) == (ResponseFormat.JSON, Granularity.SEGMENT)
    assert (request.decode.model, request.decode.language, request.decode.beam_size) == ("demo", None, 5)
    assert request.decode.temperatures == (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
    assert (request.decode.best_of, request.decode.task) == (5, Task.TRANSCRIBE)
    assert (request.hallucinations, request.multilingual) == (HallucinationPolicy.DROP, False)
    assert request.vad == VadOptions()


def test_every_parameter_reaches_the_request(settings: Settings) -> None:
    given_values = {
        "language": "German",
        "model": "base",
        "timestamp_granularity": "word",
        "temperature": "0.5",
        "task": "translate",
        "beam_size": "3",
        "best_of": "2",
        "initial_prompt": "a prompt",
        "hotwords": "Anna",
        "vad_filter": "false",
        "vad_threshold": "0.25",
        "vad_min_silence_ms": "700",
        "vad_speech_pad_ms": "30",
        "hallucinations": "mark",
        "encoder_context": "full",
    }
    request = parse_parameters([], given_values.items()).to_request(settings)
    assert request.decode.language == "de"
    assert request.decode.model == "base"
    assert request.decode.word_timestamps
    assert request.decode.temperatures == (0.5, 0.6, 0.8, 1.0)
    assert request.decode.task is Task.TRANSLATE
    assert (request.decode.beam_size, request.decode.best_of) == (3, 2)
    assert (request.decode.initial_prompt, request.decode.hotwords) == ("a prompt", "Anna")
    assert request.hallucinations is HallucinationPolicy.MARK
    assert request.decode.encoder_context is EncoderContext.FULL
    assert request.vad == VadOptions(enabled=False, threshold=0.25, min_silence_ms=700, speech_pad_ms=30)


def test_the_setting_decides_how_much_the_encoder_sees_unless_the_request_does(settings: Settings) -> None:
    full = settings.model_copy(update={"encoder_context": EncoderContext.FULL})

    assert parse_parameters([]).to_request(full).decode.encoder_context is EncoderContext.FULL
    given = parse_parameters([("encoder_context", "auto")]).to_request(full)
    assert given.decode.encoder_context is EncoderContext.AUTO


def test_the_form_takes_precedence_over_the_query() -> None:
    assert parse_parameters([("beam_size", "2")], [("beam_size", "3")]).beam_size == 3


def test_an_empty_form_field_does_not_override_the_query() -> None:
    assert parse_parameters([("beam_size", "2")], [("beam_size", "")]).beam_size == 2


@pytest.mark.parametrize("name", NAMES)
def test_an_empty_value_counts_as_missing(name: str) -> None:
    assert parse_parameters([(name, " ")]) == parse_parameters([])


@pytest.mark.parametrize(
    ("wrong", "right"),
    [
        ("langauge", "language"),
        ("format", "response_format"),
        ("Temperature", "temperature"),
        ("beamsize", "beam_size"),
    ],
)
def test_an_unknown_name_is_refused_with_the_most_similar_one(wrong: str, right: str) -> None:
    with pytest.raises(InvalidParameter, match=f"Did you mean '{right}'"):
        parse_parameters([(wrong, "1")])


def test_an_unknown_name_without_a_similar_one_is_refused_with_all_names() -> None:
    with pytest.raises(InvalidParameter, match=r"Known parameters: file, language, .*vad_speech_pad_ms"):
        parse_parameters([("qqq", "1")])


def test_a_name_given_twice_is_refused() -> None:
    with pytest.raises(InvalidParameter, match="twice in the query"):
        parse_parameters([("task", "transcribe"), ("task", "translate")])


def test_all_invalid_values_are_reported_together() -> None:
    with pytest.raises(InvalidParameter, match=r"(?s)beam_size.*vad_threshold") as caught:
        parse_parameters([("beam_size", "99"), ("vad_threshold", "2")])
    assert caught.value.detail == "beam_size='99', vad_threshold='2'"


@pytest.mark.parametrize(
    ("name", "allowed", "refused"),
    [
        ("beam_size", ("1", "10"), ("0", "11", "2.5", "many")),
        ("best_of", ("1", "10"), ("0", "11", "2.5")),
        ("temperature", ("0", "1"), ("-0.1", "1.1", "nan", "inf")),
        ("task", ("transcribe", "translate"), ("summarize",)),
        ("hallucinations", ("mark", "drop", "keep"), ("hide",)),
        ("encoder_context", ("auto", "full"), ("half",)),
        ("multilingual", ("true", "false", "1", "0"), ("de,en",)),
        ("initial_prompt", ("x" * 2000,), ("x" * 2001,)),
        ("hotwords", ("x" * 2000,), ("x" * 2001,)),
        ("vad_threshold", ("0", "1"), ("-0.1", "1.1", "nan")),
        ("max_line_width", ("5", "500"), ("4", "501", "42.5")),
        ("max_line_count", ("1", "10"), ("0", "11")),
        ("max_words_per_line", ("1", "100"), ("0", "101")),
        ("max_cue_duration", ("0.5", "600"), ("0.4", "601", "nan")),
        ("min_gap", ("0", "10"), ("-0.1", "10.1", "nan")),
        ("highlight_words", ("true", "false"), ("red",)),
        ("max_chars_per_second", ("1", "200"), ("0.9", "201", "inf")),
        ("vad_min_silence_ms", ("0", "60000"), ("-1", "60001")),
        ("vad_speech_pad_ms", ("0", "10000"), ("-1", "10001")),
    ],
)
def test_every_range_is_checked(name: str, allowed: tuple[str, ...], refused: tuple[str, ...]) -> None:
    for value in allowed:
        parse_parameters([(name, value)])
    for value in refused:
        with pytest.raises(InvalidParameter, match=f"^{name}: "):
            parse_parameters([(name, value)])


def test_multilingual_detects_the_language_of_every_window(settings: Settings) -> None:
    request = parse_parameters([("multilingual", "true")]).to_request(settings)
    assert (request.multilingual, request.decode.language) == (True, None)


@pytest.mark.parametrize(
    ("language", "script"), [("zh-Hans", Script.SIMPLIFIED), ("zh_tw", Script.TRADITIONAL), ("zh", None), ("en", None)]
)
def test_a_tag_of_chinese_sets_the_script(settings: Settings, language: str, script: Script | None) -> None:
    request = parse_parameters([("language", language)]).to_request(settings)
    assert (request.decode.language, request.script) == (language[:2], script)


def test_multilingual_contradicts_a_language(settings: Settings) -> None:
    with pytest.raises(InvalidParameter, match="Send only one of the two"):
        parse_parameters([("multilingual", "true"), ("language", "de")]).to_request(settings)


def test_an_unknown_model_is_refused(settings: Settings) -> None:
    with pytest.raises(UnknownModel):
        parse_parameters([("model", "hugo")]).to_request(settings)


@pytest.mark.parametrize("other", [("language", "fr"), ("task", "translate"), ("multilingual", "true")])
def test_an_english_only_model_refuses_other_languages(settings: Settings, other: tuple[str, str]) -> None:
    with pytest.raises(InvalidParameter, match="is English-only"):
        parse_parameters([("model", "base.en"), other]).to_request(settings)


@given(st.lists(st.tuples(st.one_of(st.sampled_from(NAMES), st.text()), st.text())))
def test_no_input_raises_anything_but_invalid_parameter(pairs: list[tuple[str, str]]) -> None:
    try:
        parse_parameters(pairs)
    except InvalidParameter as error:
        assert error.message


@given(st.text(min_size=1))
def test_text_encoded_as_json_is_decoded(text: str) -> None:
    assert json_fields([("initial_prompt", json.dumps(text))]) == [("initial_prompt", text)]


@pytest.mark.parametrize(("sent", "read"), [("null", ""), ("0.5", "0.5"), ("true", "true"), ("en", "en")])
def test_other_json_values_are_decoded_to_form_text(sent: str, read: str) -> None:
    assert json_fields([("x", sent)]) == [("x", read)]


@pytest.mark.parametrize("sent", ["9" * 5000, "[" * 100_000, '{"a":' * 100_000, "\x00", '"\\ud8'])
def test_json_that_no_parser_reads_is_passed_on_as_text(sent: str) -> None:
    assert json_fields([("x", sent)]) == [("x", sent)]


def test_half_of_a_surrogate_pair_is_replaced() -> None:
    assert json_fields([("x", '"a\\ud800b\\ud83d\\ude00"')]) == [("x", "a\N{REPLACEMENT CHARACTER}b\U0001f600")]


@given(st.floats(0, 1))
def test_temperatures_rise_from_the_requested_one(start: float) -> None:
    temperatures = temperatures_from(start)
    assert temperatures[0] == start
    assert list(temperatures) == sorted(set(temperatures))
    assert temperatures[-1] == 1.0


@pytest.mark.parametrize(
    ("given_value", "timed"),
    [
        (("max_line_width", "42"), True),
        (("max_cue_duration", "7"), True),
        (("highlight_words", "true"), True),
        (("min_gap", "0.1"), False),
        (("max_chars_per_second", "17"), False),
    ],
)
def test_words_have_timestamps_if_the_layout_needs_them(
    settings: Settings, given_value: tuple[str, str], timed: bool
) -> None:
    assert parse_parameters([given_value]).to_request(settings).decode.word_timestamps is timed


def test_a_partial_layout_in_the_query_is_not_refused(settings: Settings) -> None:
    parse_parameters([("max_line_count", "2")]).to_request(settings)
    whole = parse_parameters([("max_line_count", "2")], [("max_line_width", "42"), ("response_format", "srt")])
    assert whole.checked_layout() == SubtitleLayout(max_line_width=42, max_line_count=2)


def test_a_job_keeps_the_layout_for_any_format_of_its_result() -> None:
    assert parse_parameters([("async", "true"), ("max_line_width", "42")]).checked_layout()
