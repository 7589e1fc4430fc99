from __future__ import annotations

import pytest
from faster_whisper.tokenizer import _LANGUAGE_CODES

from transcription.core.errors import InvalidParameter
from transcription.core.languages import ALIASES, LANGUAGES, language_code


def test_the_languages_are_those_of_whisper() -> None:
    assert set(LANGUAGES) == set(_LANGUAGE_CODES)


@pytest.mark.parametrize("code", LANGUAGES)
def test_codes_and_names_are_accepted_in_any_case(code: str) -> None:
    assert language_code(code.upper()) == language_code(LANGUAGES[code].upper()) == code


def test_aliases_have_known_codes() -> None:
    assert {language_code(alias) for alias in ALIASES} <= set(LANGUAGES)


@pytest.mark.parametrize("wrong", ["xx", "klingon", "", "en-US-extra"])
def test_the_error_for_an_unknown_language_states_the_remedy(wrong: str) -> None:
    with pytest.raises(InvalidParameter, match="GET /languages"):
        language_code(wrong)
