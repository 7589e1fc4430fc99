"""Chinese is written in the script that was asked for."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transcription.core.audio import SAMPLE_RATE, Span, Timeline
from transcription.core.languages import Script
from transcription.core.options import DecodeOptions, HallucinationPolicy, TranscriptionRequest, VadOptions
from transcription.core.transcript import PlacedResult, Segment, WindowResult, Word
from transcription.pipeline.assemble import Draft, judged, segments_of
from transcription.pipeline.scripts import segment_in_script, text_in_script

SIMPLIFIED, TRADITIONAL = "为什么跨国公司的理发师里里外外都说台湾话？", "為什麼跨國公司的理髮師裡裡外外都說臺灣話？"
REQUEST = TranscriptionRequest(DecodeOptions("base", language="zh"), VadOptions())
SEGMENT = Segment(0.0, 2.0, TRADITIONAL, (1,), -0.2, 1.0, 0.0, 0.0)
chinese = st.text(st.sampled_from(SIMPLIFIED + TRADITIONAL + " a,0。"), max_size=12)


def placed(*segments: Segment, language: str = "zh") -> PlacedResult:
    """A window of 30 s."""
    return PlacedResult(Timeline((Span(0, 30 * SAMPLE_RATE),)), WindowResult(language, 1.0, segments))


@pytest.mark.parametrize("language", ["zh", "yue"])
def test_either_script_becomes_the_one_that_was_asked_for(language: str) -> None:
    for text in (SIMPLIFIED, TRADITIONAL):
        assert text_in_script(text, language, Script.SIMPLIFIED) == SIMPLIFIED
        assert text_in_script(text, language, Script.TRADITIONAL) == TRADITIONAL


def test_without_a_script_the_text_is_as_decoded() -> None:
    assert text_in_script("跨国跨國", "zh", None) == "跨国跨國"


@pytest.mark.parametrize("script", Script)
def test_other_languages_keep_their_characters(script: Script) -> None:
    assert text_in_script("国会と國會の髪", "ja", script) == "国会と國會の髪"


@pytest.mark.parametrize("script", Script)
def test_translations_keep_theirs(script: Script) -> None:
    assert text_in_script(" “Why?” — it's 5 o'clock…", "zh", script) == " “Why?” — it's 5 o'clock…"


def test_text_that_the_converter_would_cut_is_unchanged() -> None:
    assert text_in_script("跨国\0跨国", "zh", Script.TRADITIONAL) == "跨国\0跨国"


@pytest.mark.parametrize(
    ("text", "script"),
    [("一出來就走了萬里", Script.TRADITIONAL), ("你吃了么？", Script.SIMPLIFIED), ("着急", Script.SIMPLIFIED)],
)
def test_text_that_has_the_script_already_is_unchanged(text: str, script: Script) -> None:
    assert text_in_script(text, "zh", script) == text


def test_both_scripts_in_one_word_become_one() -> None:
    assert text_in_script("跨国內的头髮", "zh", Script.TRADITIONAL) == "跨國內的頭髮"
    assert text_in_script("跨国內的头髮", "zh", Script.SIMPLIFIED) == "跨国内的头发"


@given(st.text() | chinese, st.sampled_from(Script))
def test_no_character_is_lost(text: str, script: Script) -> None:
    assert len(text_in_script(text, "zh", script)) == len(text)


@given(st.lists(chinese), st.sampled_from(Script))
def test_words_are_the_text_of_their_segment(texts: list[str], script: Script) -> None:
    words = tuple(Word(text, float(at), at + 1.0, 0.9) for at, text in enumerate(texts))
    written = segment_in_script(replace(SEGMENT, text="".join(texts), words=words), "zh", script)
    assert "".join(word.text for word in written.words) == written.text
    assert [replace(word, text="") for word in written.words] == [replace(word, text="") for word in words]


def test_the_characters_of_a_word_depend_on_the_words_beside_it() -> None:
    words = tuple(Word(character, 0.0, 1.0, 0.9) for character in "他的头发和他的发现")
    written = segment_in_script(replace(SEGMENT, words=words), "zh", Script.TRADITIONAL)
    assert [word.text for word in written.words] == list("他的頭髮和他的發現")


def test_a_transcript_its_warnings_and_its_drafts_have_the_script() -> None:
    request = replace(REQUEST, script=Script.SIMPLIFIED, hallucinations=HallucinationPolicy.MARK)
    window = placed(replace(SEGMENT, avg_logprob=-1.6, no_speech_prob=0.5))
    transcript = judged([window], request, 30.0)
    assert transcript.text == transcript.warnings[0].text == SIMPLIFIED
    assert (transcript.language, transcript.segments[0].start) == ("zh", 0.0)
    assert [segment.text for segment in Draft(request).add(window)] == [SIMPLIFIED]
    assert [segment.text for segment in segments_of(window, request)] == [SIMPLIFIED]


def test_the_script_does_not_change_what_is_dropped() -> None:
    # Three words four times, which may occur; simplified it is one word twelve times, which may not.
    line = replace(SEGMENT, text="乾幹干", compression_ratio=6.0)
    lines = [replace(line, start=2.0 * at, end=2.0 * at + 2) for at in range(4)]
    for script in (None, *Script):
        assert len(judged([placed(*lines)], replace(REQUEST, script=script), 30.0).segments) == 4


def test_a_candidate_that_was_not_heard_changes_nothing() -> None:
    request = replace(REQUEST, decode=DecodeOptions("base", languages=("zh", "ja")), script=Script.SIMPLIFIED)
    window = placed(replace(SEGMENT, text="國會"), language="ja")
    assert judged([window], request, 30.0).text == "國會"
    assert segments_of(window, request)[0].text == "國會"
