"""The settings of a pool of runners."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from transcription.core.settings import Settings


def settings(**given: str) -> Settings:
    return Settings(_env_file=None, **given)


@pytest.mark.parametrize("value", ["http://gpu-1:3100", "https://pool.example.org", "http://a:1, http://[::1]:2/", ""])
def test_addresses_of_runners_are_accepted(value):
    assert settings(runner_url=value).runner_url == value


@pytest.mark.parametrize("value", ["gpu-1:3100", "ftp://a", "http://", "http://a:x", "http://a/path", "http://u:p@a"])
def test_other_addresses_of_runners_are_refused(value):
    with pytest.raises(ValidationError, match="http://HOST:PORT"):
        settings(runner_url=value)


def test_a_short_token_is_refused():
    with pytest.raises(ValidationError, match="32 characters"):
        settings(runner_token="hunter2")


def test_a_runner_serves_its_default_model():
    assert settings(models="base, tiny").served_model_names == {"base", "tiny"}
    assert settings(models="*").served_model_names == settings().served_model_names == frozenset()
    with pytest.raises(ValidationError, match="WHISPER_MODEL, which is large-v3"):
        settings(models="base", whisper_model="large-v3")
