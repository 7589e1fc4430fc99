"""Properties of text that need no language."""

from __future__ import annotations

import pytest
from faster_whisper.transcribe import get_compression_ratio

from transcription.core.text import compression_ratio


@pytest.mark.parametrize("text", ["", "hello", "na na na na na na na na na na na na", "größer 日本"])
def test_the_compression_ratio_is_that_of_faster_whisper(text: str) -> None:
    assert compression_ratio(text) == get_compression_ratio(text)
