"""Errors as values: codes are stable, and a failure is converted back to the same error."""

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
def test_the_code_of_an_error_is_the_one_that_clients_receive(error: type[TranscriptionError]) -> None:
    assert error.code == KINDS[error].code


@pytest.mark.parametrize("error", [NoAudioStream("a", "b"), UnknownModel("a"), ServiceUnavailable("a", "b", 12.5)])
def test_an_error_is_restored_from_its_value(error: TranscriptionError) -> None:
    copy = as_error(as_failure(error))
    assert type(copy) is type(error)
    assert vars(copy) == vars(error)


def test_an_error_with_an_inherited_code_is_restored_as_the_base_class() -> None:
    assert type(as_error(as_failure(OutcomeUnknown("a")))) is ServiceUnavailable


def test_an_unknown_code_is_restored_as_a_plain_error() -> None:
    assert type(as_error(Failure("of_a_newer_version", "a"))) is TranscriptionError
