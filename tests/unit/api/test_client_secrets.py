"""Client secrets, with a clock of the test's own."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transcription.api.client_secrets import MAX_CHARACTERS, ClientSecrets, Grant
from transcription.api.parameters.transcription import MAX_PROMPT_CHARACTERS
from transcription.core.errors import InvalidApiKey, InvalidParameter

KEY = "k" * 32
GRANT = Grant("ann", {"model": "base", "prompt": "Grüße"})
NOW = 1_764_250_000.5


def test_another_process_with_the_same_key_accepts_a_secret() -> None:
    secret, expires = ClientSecrets(KEY, lambda: NOW).make(GRANT, 60)
    assert expires == 1_764_250_060
    assert ClientSecrets(KEY, lambda: NOW + 59).check(secret) == GRANT


def test_a_secret_fits_into_a_header_for_subprotocols() -> None:
    secret, _ = ClientSecrets(KEY).make(GRANT, 60)
    assert re.fullmatch(r"ek_[A-Za-z0-9_.-]+", secret)


def test_an_expired_secret_is_refused() -> None:
    secret, _ = ClientSecrets(KEY, lambda: NOW).make(GRANT, 60)
    with pytest.raises(InvalidApiKey, match="expired"):
        ClientSecrets(KEY, lambda: NOW + 60).check(secret)


def test_a_secret_of_another_key_is_refused() -> None:
    secret, _ = ClientSecrets("x" * 32).make(GRANT, 60)
    with pytest.raises(InvalidApiKey, match="invalid"):
        ClientSecrets(KEY).check(secret)


def test_without_a_key_each_process_has_its_own() -> None:
    secret, _ = ClientSecrets("").make(GRANT, 60)
    with pytest.raises(InvalidApiKey):
        ClientSecrets("").check(secret)


@given(st.text() | st.binary().map(lambda data: data.decode("latin-1")))
def test_any_other_text_is_refused(text: str) -> None:
    with pytest.raises(InvalidApiKey):
        ClientSecrets(KEY).check(f"ek_{text}")


@pytest.mark.parametrize("character", ["e", "é", "語", "\U0001f600"])
def test_a_secret_with_the_longest_texts_is_valid_in_every_script(character: str) -> None:
    text = character * MAX_PROMPT_CHARACTERS  # a limit of the keywords together, too
    grant = Grant("ann", {"prompt": text, "keywords": [text]})
    assert ClientSecrets(KEY).check(ClientSecrets(KEY).make(grant, 60)[0]) == grant


def test_text_takes_no_more_room_than_its_utf_8() -> None:
    secrets = ClientSecrets(KEY)
    assert len(secrets.make(Grant("ann", {"prompt": "é" * 2000}), 60)[0]) == len(
        secrets.make(Grant("ann", {"prompt": "ee" * 2000}), 60)[0]
    )


@given(st.integers(0, 2 * MAX_CHARACTERS))
def test_a_secret_that_is_made_is_valid_and_one_that_would_be_too_long_is_refused(length: int) -> None:
    secrets, grant = ClientSecrets(KEY), Grant("ann", {"keywords": ["k" * length]})
    try:
        secret, _ = secrets.make(grant, 60)
    except InvalidParameter as error:
        assert (error.parameter, length > MAX_CHARACTERS // 2) == ("session", True)
    else:
        assert secrets.check(secret) == grant
