"""Text that was not spoken is dropped or marked, reported, and counted."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from numpy.typing import NDArray

from tests.support.clips import SpokenClip, Transcribe
from tests.support.media_files import RATE, read_samples, write_wav
from tests.support.recordings import Recordings

NO_VAD = {"vad_filter": "false", "response_format": "verbose_json", "language": "en"}


@pytest.fixture(scope="module")
def melody(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """15 s of short tones: no voice to Silero, words to the embedded model, which is not sure of them."""
    pitches = np.random.default_rng(2).integers(100, 1500, 100)  # Hz
    times = np.arange(int(0.15 * RATE)) / RATE
    tones = [3000 * np.sin(2 * np.pi * pitch * times) for pitch in pitches]
    return write_wav(tmp_path_factory.mktemp("melody") / "melody.wav", np.concatenate(tones).astype(np.int16))


def one_window_of(path: Path) -> NDArray[np.int16]:
    """A recording followed by silence until its window of 30 s is full."""
    samples = read_samples(path)
    return np.concatenate((samples, np.zeros(30 * RATE - len(samples), np.int16)))


def counted(client: httpx.Client, reason: str, action: str) -> float:
    """What /metrics shows for a reason and an action."""
    pattern = rf'^transcription_hallucinations_total{{(?=.*reason="{reason}")(?=.*action="{action}").*}} (\S+)$'
    return sum(float(value) for value in re.findall(pattern, client.get("/metrics").text, re.MULTILINE))


def test_words_in_a_melody_are_dropped_told_and_counted(
    client: httpx.Client, transcribe: Transcribe, melody: Path
) -> None:
    kept = transcribe(melody, hallucinations="keep", **NO_VAD).json()
    assert kept["segments"]
    assert kept["warnings"] == []

    before = counted(client, "no_voice", "dropped")
    heard = transcribe(melody, **NO_VAD).json()
    assert (heard["text"], heard["segments"]) == ("", [])
    assert [warning["text"] for warning in heard["warnings"]] == [segment["text"] for segment in kept["segments"]]
    assert {warning["reason"] for warning in heard["warnings"]} == {"no_voice"}
    assert {warning["segment"] for warning in heard["warnings"]} == {None}
    assert counted(client, "no_voice", "dropped") == before + len(heard["warnings"])


def test_marked_words_stay_where_they_are(client: httpx.Client, transcribe: Transcribe, melody: Path) -> None:
    before = counted(client, "no_voice", "marked")
    heard = transcribe(melody, hallucinations="mark", **NO_VAD).json()
    texts: dict[int, Any] = {segment["id"]: segment["text"] for segment in heard["segments"]}
    assert texts
    assert {warning["segment"]: warning["text"] for warning in heard["warnings"]} == texts
    assert counted(client, "no_voice", "marked") == before + len(texts)


def test_a_sentence_that_a_voice_says_over_and_over_is_kept(transcribe: Transcribe, recordings: Recordings) -> None:
    heard = transcribe(recordings.speech("loop.mp3", 29), language="en", response_format="verbose_json").json()
    assert len(heard["segments"]) >= 9
    assert heard["warnings"] == []


@pytest.mark.parametrize("vad_filter", ["true", "false"])
def test_what_was_said_stays(transcribe: Transcribe, spoken_clip: SpokenClip, vad_filter: str) -> None:
    heard = transcribe(spoken_clip.path, vad_filter=vad_filter, response_format="verbose_json").json()
    assert heard["text"] == spoken_clip.text
    assert heard["warnings"] == []


def test_each_window_has_its_own_language(
    transcribe: Transcribe, spoken_clips: dict[str, SpokenClip], tmp_path: Path
) -> None:
    german, english = (one_window_of(spoken_clips[language].path) for language in ("de", "en"))
    recording = write_wav(tmp_path / "two.wav", np.concatenate((german, english)))
    fields = {"vad_filter": "false", "response_format": "verbose_json"}
    heard = transcribe(recording, multilingual="true", **fields).json()
    assert heard["text"] == f"{spoken_clips['de'].text} {spoken_clips['en'].text}"
    assert heard["language"] in ("de", "en")


def test_a_language_and_several_languages_contradict_each_other(
    transcribe: Transcribe, spoken_clip: SpokenClip
) -> None:
    answer = transcribe(spoken_clip.path, multilingual="true", language="de")
    assert (answer.status_code, answer.json()["error"]) == (422, "invalid_parameter")
