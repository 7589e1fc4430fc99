"""Errors as values: codes are stable, and a failure becomes the error that it was."""

import pytest

from transcription.api.errors import KINDS
from transcription.core.errors import (
    Failure,
    NoAudioStream,
    OutcomeUnknown,
    ServiceUnavailable,
    TranscriptionError,
    UnknownModel,
    as_error,
    as_failure,
)


@pytest.mark.parametrize("error", KINDS, ids=lambda error: error.__name__)
def test_the_code_of_an_error_is_what_clients_are_sent(error: type[TranscriptionError]) -> None:
    assert error.code == KINDS[error].code


@pytest.mark.parametrize("error", [NoAudioStream("a", "b"), UnknownModel("a"), ServiceUnavailable("a", "b", 12.5)])
def test_an_error_survives_as_a_value(error: TranscriptionError) -> None:
    copy = as_error(as_failure(error))
    assert type(copy) is type(error)
    assert vars(copy) == vars(error)


def test_an_error_without_a_code_of_its_own_becomes_the_one_whose_code_it_has() -> None:
    assert type(as_error(as_failure(OutcomeUnknown("a")))) is ServiceUnavailable


def test_an_unknown_code_becomes_a_plain_error() -> None:
    assert type(as_error(Failure("of_a_newer_version", "a"))) is TranscriptionError
