"""What is said is kept however often, and applause is not a word."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.support.media_files import applause, read_samples, write_wav
from tests.support.speech import ACCOUNT, ALWAYS, SIGNS, SPEECH, Hear, joined

pytestmark = pytest.mark.weights

CHINESE = SPEECH / "zh.flac"


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


@pytest.mark.parametrize("pause", [0.5, 1.5])
@pytest.mark.parametrize(
    ("clip", "words"),
    [(ACCOUNT, "that account of himself"), (ALWAYS, "worse now"), (SPEECH / "de.flac", "wurde"), (CHINESE, "跨")],
    ids=["a sentence", "a short one", "German", "Chinese"],
)
def test_a_sentence_that_is_said_eight_times_is_written_eight_times(
    hear: Hear, tmp_path: Path, clip: Path, words: str, pause: float
) -> None:
    heard = hear(joined(tmp_path / "eight.wav", *[clip] * 8, pause=pause), response_format="verbose_json")
    assert heard["text"].count(words) == 8
    assert "repetition" not in [warning.get("reason") for warning in heard["warnings"]]


def test_a_sentence_is_written_as_often_as_it_is_said_without_voice_activity_detection(
    hear: Hear, tmp_path: Path
) -> None:
    heard = hear(joined(tmp_path / "eight.wav", *[ALWAYS] * 8, pause=1.0), vad_filter="false")
    assert heard["text"].count("worse now") == 8
