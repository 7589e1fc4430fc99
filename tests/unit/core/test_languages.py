from __future__ import annotations

import pytest
from faster_whisper.tokenizer import _LANGUAGE_CODES

from transcription.core.errors import InvalidParameter
from transcription.core.languages import ALIASES, LANGUAGES, Script, language_code, language_tag, script_of


def test_the_languages_are_those_of_whisper() -> None:
    assert set(LANGUAGES) == set(_LANGUAGE_CODES)


@pytest.mark.parametrize("code", LANGUAGES)
def test_codes_and_names_are_accepted_in_any_case(code: str) -> None:
    assert language_code(code.upper()) == language_code(LANGUAGES[code].upper()) == code


def test_aliases_have_known_codes() -> None:
    assert {language_code(alias) for alias in ALIASES} <= set(LANGUAGES)


@pytest.mark.parametrize(
    "wrong",
    [
        "xx",
        "klingon",
        "",
        "en-",
        "-US",
        "en--US",
        "en-U",
        "english-US",
        "xx-US",
        "i-klingon",
        "x-en",
        "und",
        "en-" * 9999,
    ],
)
def test_the_error_for_an_unknown_language_states_the_remedy(wrong: str) -> None:
    with pytest.raises(InvalidParameter, match="GET /languages"):
        language_code(wrong)


@pytest.mark.parametrize(
    ("tag", "code"),
    [
        ("en-US", "en"),
        ("EN_us", "en"),
        (" de-CH-1996 ", "de"),
        ("es-419", "es"),
        ("sr-Latn-RS", "sr"),
        ("zh-Hant-TW", "zh"),
        ("zh_Hans", "zh"),
        ("cmn-Hans-CN", "zh"),
        ("zh-cmn", "zh"),
        ("zh-yue-HK", "yue"),
        ("yue-Hant-HK", "yue"),
        ("haw-US", "haw"),
        ("nb-NO", "no"),
        ("nn-NO", "nn"),
        ("iw-IL", "he"),
        ("jv-ID", "jw"),
        ("fil-PH", "tl"),
        ("eng", "en"),
        ("ger", "de"),
        ("deu-AT", "de"),
        ("en-a-bbb-x-a-ccc", "en"),
        ("de-x-private", "de"),
    ],
)
def test_a_tag_means_its_language_whatever_the_script_and_region(tag: str, code: str) -> None:
    assert language_code(tag) == code


@pytest.mark.parametrize(
    ("tag", "script"),
    [
        *((tag, Script.SIMPLIFIED) for tag in ("zh-Hans", "ZH_HANS", "zh-cn", "zh-SG", "cmn-Hans-TW", "zho-CN")),
        *((tag, Script.TRADITIONAL) for tag in ("zh-Hant", "zh-TW", "zh_hk", "zh-MO", "yue-HK", "zh-yue-Hant-CN")),
        *((tag, None) for tag in ("zh", "Chinese", "mandarin", "zh-US", "zh-Latn", "zh-Latn-TW", "auto")),
        *((tag, None) for tag in ("en-HK", "ja-Hans", "sr-Latn-RS")),
    ],
)
def test_the_script_of_chinese_is_that_of_its_tag_or_its_region(tag: str, script: Script | None) -> None:
    assert script_of(tag) is script


@pytest.mark.parametrize(
    ("given", "tag"), [("zh_hk", "zh-Hant"), ("ZH", "zh"), ("zh-yue-CN", "yue-Hans"), ("sr-Latn", "sr"), ("Auto", None)]
)
def test_a_normalized_tag_has_the_script_of_chinese_alone(given: str, tag: str | None) -> None:
    assert language_tag(given) == tag
    if tag:
        assert (language_code(tag), script_of(tag)) == (language_code(given), script_of(given))


@pytest.mark.parametrize("auto", ["auto", "AUTO", " Auto "])
def test_auto_leaves_the_language_to_be_detected(auto: str) -> None:
    assert language_code(auto) is None
