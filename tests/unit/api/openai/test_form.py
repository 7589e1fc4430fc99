"""The spellings in which clients send lists and `chunking_strategy`."""

import json

import pytest

from transcription.api.openai.form import read_form
from transcription.api.openai.parameters import TRANSCRIPTION_NAMES
from transcription.core.errors import InvalidParameter


def read(*fields):
    return read_form(fields, TRANSCRIPTION_NAMES)


@pytest.mark.parametrize(
    "fields",
    [
        [("timestamp_granularities[]", "word"), ("timestamp_granularities[]", "segment")],
        [("timestamp_granularities", "word"), ("timestamp_granularities", "segment")],
        [("timestamp_granularities[0]", "word"), ("timestamp_granularities[1]", "segment")],
        [("timestamp_granularities", "word,segment")],
        [("timestamp_granularities[]", " word , segment ,")],
        [("timestamp_granularities", '["word", "segment"]')],
        [("timestamp_granularities[]", '["word"]'), ("timestamp_granularities", "segment")],
    ],
)
def test_a_list_has_the_same_items_in_every_spelling(fields):
    assert read(*fields).list_of("timestamp_granularities") == ["word", "segment"]


def test_a_keyword_may_contain_a_comma():
    assert read(("keywords[]", "Smith, John")).list_of("keywords") == ["Smith, John"]
    assert read(("keywords", '["Smith, John", "Ann"]')).list_of("keywords") == ["Smith, John", "Ann"]


@pytest.mark.parametrize("keyword", ["[laughter]", "[", '"', "[" * 60_000])
def test_a_keyword_that_only_resembles_json_is_a_keyword(keyword):
    assert read(("keywords[]", keyword)).list_of("keywords") == [keyword]


@pytest.mark.parametrize(
    "value", ['{"type": "server_vad", "threshold": 0.4}', ' {"threshold": 0.4, "type": "server_vad"}\n']
)
def test_a_chunking_strategy_in_json_is_the_same_as_in_parts(value):
    parts = read(("chunking_strategy[type]", "server_vad"), ("chunking_strategy[threshold]", "0.4"))
    assert read(("chunking_strategy", value)).singles == parts.singles


@pytest.mark.parametrize("value", ["auto", '"auto"'])
def test_a_chunking_strategy_may_be_a_word_or_a_json_string(value):
    assert read(("chunking_strategy", value)).singles == {"chunking_strategy": "auto"}


def test_a_null_in_json_counts_as_missing():
    value = json.dumps({"type": "server_vad", "threshold": None})
    assert read(("chunking_strategy", value)).singles == {"chunking_strategy[type]": "server_vad"}
    assert read(("chunking_strategy", "null")).singles == {}


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("{", "not valid JSON"),
        ("[" * 60_000, "not valid JSON"),
        ('{"threshold": ' + "9" * 5000 + "}", "not valid JSON"),
        ('["auto"]', "word or a JSON object"),
        ('{"type": ["server_vad"]}', "number or a word"),
        ('{"threshold": true}', "number or a word"),
        ('{"colour": "red"}', r"Unknown parameter: 'chunking_strategy\[colour\]'"),
    ],
)
def test_a_chunking_strategy_that_cannot_be_read_is_refused(value, message):
    with pytest.raises(InvalidParameter, match=message):
        read(("chunking_strategy", value))


@pytest.mark.parametrize("value", ['["word", 1]', "[[]]", '[{"a": "b"}]', "[null]"])
def test_a_list_in_json_that_is_not_one_of_strings_is_refused(value):
    with pytest.raises(InvalidParameter) as caught:
        read(("keywords", value))
    assert caught.value.parameter == "keywords"


@pytest.mark.parametrize("fields", [[("model", "a"), ("model", "b")], [("chunking_strategy", "auto")] * 2])
def test_a_single_value_that_is_sent_twice_is_refused(fields):
    with pytest.raises(InvalidParameter, match="given twice"):
        read(*fields)


@pytest.mark.parametrize(
    "name", ["model[]", "model[0]", "chunking_strategy[]", "languages[a]", "languages[][]", "colour"]
)
def test_another_name_is_refused(name):
    with pytest.raises(InvalidParameter, match="Unknown parameter"):
        read((name, "x"))


def test_auto_counts_as_no_language():
    assert read(("language", "Auto"), ("prompt", "auto")).singles == {"prompt": "auto"}
