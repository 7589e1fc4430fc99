"""The declared size of a transfer."""

import pytest

from transcription.media.intake.transfer import declared_size


@pytest.mark.parametrize(
    ("value", "size"), [("12", 12), ("", None), ("-1", None), ("x", None), ("\N{SUPERSCRIPT TWO}", None)]
)
def test_a_content_length_that_is_not_a_number_is_ignored(value, size):
    assert declared_size({"content-length": value}) == size


def test_the_declared_size_is_unknown_without_a_content_length():
    assert declared_size({}) is None
