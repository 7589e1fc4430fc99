"""The times of real speech whose place in the recording is exactly known."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from benchmarks.evaluate.references import Spoken
from benchmarks.evaluate.times import time_errors
from benchmarks.report import percentile
from tests.support.media_files import read_samples, write_wav
from tests.support.service import ROOT
from tests.support.speech import ALWAYS, SIGNS, Hear
from transcription.core.audio import SAMPLE_RATE

pytestmark = pytest.mark.weights

PAUSES = (1.3, 0.8, 2.5, 0.6)  # seconds before each clip, and after the last
CLIPS = (SIGNS, ALWAYS, SIGNS)  # the other clip begins with a breath
FIRST_WORDS = ("i", "always", "i")
LAST_WORDS = ("pleased", "now", "pleased")
TOLERANCE = 0.3  # seconds; the clips begin and end softly
AUDIBLE = 0.05  # of the loudest sample
FAULTS = ROOT.parent / "shared" / "data" / "faults"
OVERRUN, DIGITS = FAULTS / "overrun_1338.flac", FAULTS / "digits_words_early.flac"


def trimmed(path: Path) -> NDArray[np.int16]:
    """The clip without silence at its ends."""
    samples = read_samples(path)
    loudness = np.abs(samples.astype(np.int32))
    loud = np.flatnonzero(loudness > AUDIBLE * loudness.max())
    return samples[loud[0] : loud[-1] + 1]


def silence(seconds: float) -> NDArray[np.int16]:
    return np.zeros(round(seconds * SAMPLE_RATE), np.int16)


@pytest.fixture(scope="module")
def spoken(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[tuple[float, float]]]:
    """A recording of the clips with pauses, and where each of them starts and ends."""
    parts, times, position = [silence(PAUSES[0])], [], PAUSES[0]
    for clip, pause in zip(map(trimmed, CLIPS), PAUSES[1:], strict=True):
        parts += [clip, silence(pause)]
        times.append((position, position + len(clip) / SAMPLE_RATE))
        position = times[-1][1] + pause
    return write_wav(tmp_path_factory.mktemp("times") / "spoken.wav", np.concatenate(parts)), times


@pytest.mark.parametrize("fields", [{}, {"vad_filter": "false"}, {"timestamp_granularity": "word"}], ids=str)
def test_segments_start_and_end_with_the_voice(
    hear: Hear, spoken: tuple[Path, list[tuple[float, float]]], fields: dict[str, str]
) -> None:
    path, times = spoken
    segments = hear(path, **fields)["segments"]
    starts = [each["start"] for each in segments]
    ends = [each["end"] for each in segments]
    for start, end in times:
        assert min(abs(each - start) for each in starts) < TOLERANCE
        assert min(abs(each - end) for each in ends) < TOLERANCE


def test_words_beside_a_pause_start_and_end_with_the_voice(
    hear: Hear, spoken: tuple[Path, list[tuple[float, float]]]
) -> None:
    path, times = spoken
    words = hear(path, timestamp_granularity="word")["words"]
    for (start, end), first, last in zip(times, FIRST_WORDS, LAST_WORDS, strict=True):
        assert min(abs(each["start"] - start) for each in words if plain(each) == first) < TOLERANCE
        assert min(abs(each["end"] - end) for each in words if plain(each) == last) < TOLERANCE


def plain(word: dict[str, Any]) -> str:
    return "".join(letter for letter in str(word["word"]).lower() if letter.isalpha())


@pytest.mark.skipif(not OVERRUN.exists(), reason="the shared folder is not there")
@pytest.mark.parametrize("granularity", ["segment", "word"])
def test_segments_last_and_do_not_overlap(hear: Hear, granularity: str) -> None:
    transcript = hear(OVERRUN, timestamp_granularity=granularity)
    times = [time for each in transcript["segments"] for time in (each["start"], each["end"])]
    assert times == sorted(times)
    assert times[-1] <= transcript["duration"]
    assert all(each["end"] - each["start"] > 0.1 for each in transcript["segments"])


@pytest.mark.skipif(not DIGITS.exists(), reason="the shared folder is not there")
def test_single_words_with_long_pauses_start_and_end_with_the_voice(hear: Hear) -> None:
    said = [Spoken(**each) for each in json.loads(DIGITS.with_suffix(".json").read_text())]
    heard = [Spoken(each["start"], each["end"], each["text"]) for each in hear(DIGITS, language="en")["segments"]]
    errors = time_errors(said, heard, "en")
    assert len(errors.starts) > 15
    assert percentile([abs(error) for error in (*errors.starts, *errors.ends)], 0.95) < TOLERANCE
