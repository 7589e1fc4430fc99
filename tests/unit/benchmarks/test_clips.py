"""Clips of one duration differ from each other, and are the same in every run."""

from __future__ import annotations

import wave
from pathlib import Path

import numpy as np
import pytest

from benchmarks import clips
from benchmarks.clips import Clip, Samples, bilingual_clip, make_clips, speech, utterances
from transcription.core.audio import SAMPLE_RATE

SECOND = np.ones(SAMPLE_RATE, np.int16)
SOURCE = [1 * SECOND, 2 * SECOND, 3 * SECOND, 4 * SECOND]  # utterances of a second each


def samples(clip: Clip) -> Samples:
    with wave.open(str(clip.path), "rb") as file:
        return np.frombuffer(file.readframes(file.getnframes()), np.int16)


def by_second(clip: Clip) -> list[int]:
    return [int(value) for value in samples(clip)[::SAMPLE_RATE]]


def test_each_clip_starts_with_another_utterance_and_repeats_the_source_to_its_duration(tmp_path: Path) -> None:
    first, second = make_clips(SOURCE, 5.0, 2, tmp_path)
    assert by_second(first) == [1, 2, 3, 4, 1]
    assert by_second(second) == [3, 4, 1, 2, 3]
    assert first.seconds == second.seconds == 5.0


def test_there_are_no_more_clips_than_utterances(tmp_path: Path) -> None:
    made = make_clips(SOURCE, 1.0, 8, tmp_path)
    assert [by_second(clip) for clip in made] == [[1], [2], [3], [4]]


def test_clips_of_several_durations_share_a_folder(tmp_path: Path) -> None:
    [short], [long] = (make_clips(SOURCE, seconds, 1, tmp_path) for seconds in (0.5, 2.0))
    assert (len(samples(short)), len(samples(long))) == (SAMPLE_RATE // 2, 2 * SAMPLE_RATE)


def test_without_the_shared_recordings_there_are_english_ones_in_the_repository(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clips, "SHARED_SPEECH", tmp_path / "missing")
    found = utterances()
    assert [each.dtype for each in found] == [np.int16] * 3
    assert len(speech()) == sum(map(len, found))


def test_a_bilingual_clip_fits_into_one_window(tmp_path: Path) -> None:
    clip = bilingual_clip(tmp_path)
    assert len(samples(clip)) == round(clip.seconds * SAMPLE_RATE)
    assert clip.seconds < 30
