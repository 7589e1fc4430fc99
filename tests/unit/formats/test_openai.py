"""OpenAI's JSON."""

import json
from dataclasses import replace

import pytest

from formats.openai import render_json
from transcription.core.options import Task
from transcription.core.transcript import Transcript

NOTHING = Transcript(language="und", language_probability=0.0, duration=1.5, segments=(), model="demo")


@pytest.mark.parametrize(
    ("language", "codes"), [("en", ["en"]), ("yue", ["yue"]), ("jw", ["jv"]), ("und", [])], ids=lambda value: str(value)
)
def test_json_lists_the_language_by_its_iso_code_or_none_without_speech(language, codes):
    document = json.loads(render_json(replace(NOTHING, language=language)))
    assert document["languages"] == [{"code": code} for code in codes]


def test_a_translation_lists_no_languages():
    assert "languages" not in json.loads(render_json(replace(NOTHING, language="de", task=Task.TRANSLATE)))
