"""How large a transfer says it is."""

import pytest

from transcription.media.intake.transfer import declared_size


@pytest.mark.parametrize(
    ("value", "size"), [("12", 12), ("", None), ("-1", None), ("x", None), ("\N{SUPERSCRIPT TWO}", None)]
)
def test_a_declared_size_is_a_number_or_nothing(value, size):
    assert declared_size({"content-length": value}) == size


def test_without_a_content_length_no_size_is_declared():
    assert declared_size({}) is None
