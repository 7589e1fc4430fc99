"""What the released models hear in recordings of people, through the door of the service."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from tests.support.media_files import noise, write_wav
from tests.support.speech import ALWAYS, SIGNS, SIGNS_TEXT, SPEECH, Hear, joined

pytestmark = pytest.mark.weights

PAUSE = 2.0  # seconds


def words_of(text: str) -> list[str]:
    """Without punctuation and capitals, in which int8 differs from one kind of CPU to the next."""
    return re.findall(r"[\w']+", text.lower())


@pytest.mark.parametrize(
    ("name", "language", "text"),
    [
        (SIGNS.name, "en", SIGNS_TEXT),
        (ALWAYS.name, "en", "Always, but it's worse now."),
    ],
)
def test_every_word_and_the_language_are_right(hear: Hear, name: str, language: str, text: str) -> None:
    transcript = hear(SPEECH / name)
    assert (transcript["language"], words_of(transcript["text"])) == (language, words_of(text))


@pytest.mark.parametrize(
    ("name", "words"),
    [("de.flac", "Leichen"), ("es.flac", "muy poca asistencia"), ("fr.flac", "conservateur des"), ("zh.flac", "跨國")],
)
def test_the_language_is_detected_and_written(hear: Hear, name: str, words: str) -> None:
    transcript = hear(SPEECH / name)
    assert transcript["language"] == Path(name).stem
    assert words in transcript["text"]


def test_the_english_model_hears_every_word(hear: Hear) -> None:
    assert words_of(hear(ALWAYS, model="tiny.en")["text"]) == ["always", "but", "it's", "worse", "now"]


def test_speech_is_translated_into_english(hear: Hear) -> None:
    text = hear(SPEECH / "es.flac", task="translate")["text"]
    assert "sand" in text and "white" in text and "arenas" not in text


def test_hotwords_set_the_spelling(hear: Hear) -> None:
    assert "BLANQUECINAS" not in hear(SPEECH / "es.flac")["text"]
    assert "BLANQUECINAS" in hear(SPEECH / "es.flac", hotwords="arenas BLANQUECINAS")["text"]


def test_a_prompt_sets_the_spelling(hear: Hear) -> None:
    assert "Eaux" not in hear(SPEECH / "fr.flac")["text"]
    prompted = hear(SPEECH / "fr.flac", initial_prompt="l'administration des Eaux-et-Forêts")
    assert "Eaux" in prompted["text"]


def test_times_are_those_of_the_speech(hear: Hear, tmp_path: Path) -> None:
    transcript = hear(joined(tmp_path / "pause.wav", SIGNS, ALWAYS, pause=PAUSE))

    segments = transcript["segments"]
    times = [time for segment in segments for time in (segment["start"], segment["end"])]
    second = 5.93 + PAUSE  # SIGNS is 5.93 s long
    assert transcript["text"].startswith(SIGNS_TEXT.rstrip("."))
    assert times == sorted(times) and times[0] >= 0 and times[-1] <= transcript["duration"]
    assert times[0] < 0.5
    assert segments[-1]["text"].strip().lower().startswith("always")
    assert abs(segments[-1]["start"] - second) < 1.0


@pytest.mark.parametrize("loudness", [0.0, 300.0, 3000.0], ids=["silence", "noise", "loud-noise"])
def test_silence_and_noise_give_nothing(hear: Hear, tmp_path: Path, loudness: float) -> None:
    samples = noise(10, loudness) if loudness else np.zeros(160_000, np.int16)
    transcript = hear(write_wav(tmp_path / "nothing.wav", samples))
    assert (transcript["text"], transcript["segments"]) == ("", [])
