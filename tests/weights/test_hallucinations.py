"""What is said is kept however often, and applause is not a word."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.support.media_files import applause, read_samples, write_wav
from tests.support.speech import ACCOUNT, SIGNS, Hear, joined

pytestmark = pytest.mark.weights


@pytest.mark.parametrize("vad_filter", ["true", "false"])
@pytest.mark.parametrize("loudness", [300.0, 3000.0])
def test_applause_is_not_thank_you(hear: Hear, tmp_path: Path, loudness: float, vad_filter: str) -> None:
    recording = write_wav(tmp_path / "applause.wav", applause(10, loudness))
    assert hear(recording, language="en", vad_filter=vad_filter)["text"] == ""


def test_applause_between_sentences_adds_no_words(hear: Hear, tmp_path: Path) -> None:
    parts = (read_samples(SIGNS), applause(6), read_samples(ACCOUNT))
    text = hear(write_wav(tmp_path / "speech.wav", np.concatenate(parts)))["text"]
    assert "my admiration" in text and "anything else he said" in text
    assert "thank" not in text.lower()


def test_a_sentence_that_is_said_eight_times_is_not_taken_for_a_loop(hear: Hear, tmp_path: Path) -> None:
    heard = hear(joined(tmp_path / "eight.wav", *[ACCOUNT] * 8, pause=1.5), response_format="verbose_json")
    # How many of them base writes is random: a decode with all of them is compressible, so that temperatures rise.
    assert heard["text"].count("that account of himself") > 1
    assert "repetition" not in [warning.get("reason") for warning in heard["warnings"]]
