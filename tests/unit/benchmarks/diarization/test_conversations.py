"""Conversations that are built, and RTTM files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.diarization.conversations import (
    LEAST_UTTERANCES,
    Recipe,
    Stretch,
    build,
    by_speaker,
    mobile,
    read_rttm,
    spoken,
    telephone,
    utterance,
    write_rttm,
)
from transcription.core.audio import SAMPLE_RATE

SPEECH = Path(__file__).parents[3] / "data" / "speech"


@pytest.fixture
def voices() -> dict[str, list[Path]]:
    """Two people, of whom each has one recording, as if it were several."""
    return {name: paths * LEAST_UTTERANCES for name, paths in by_speaker(SPEECH).items() if name in ("1688", "2412")}


def test_recordings_belong_to_the_speaker_they_are_named_after() -> None:
    assert set(by_speaker(SPEECH)) == {"1462", "1688", "2412"}


def test_the_same_seed_builds_the_same_conversation(voices: dict[str, list[Path]]) -> None:
    recipe = Recipe("two", 2, 20)
    first, second = build(recipe, voices, 7), build(recipe, voices, 7)
    assert (first.samples == second.samples).all()
    assert first.reference == second.reference
    assert build(recipe, voices, 8).reference != first.reference


def test_a_conversation_is_as_long_as_asked_and_has_its_speakers(voices: dict[str, list[Path]]) -> None:
    built = build(Recipe("two", 2, 20), voices, 0)
    assert built.seconds >= 20
    assert built.speakers == 2


def test_there_is_sound_where_the_reference_says(voices: dict[str, list[Path]]) -> None:
    built = build(Recipe("two", 2, 20, overlapping=0.0), voices, 0)
    inside = np.zeros(len(built.samples), bool)
    for each in built.reference:
        inside[int(each.start * SAMPLE_RATE) : int(each.end * SAMPLE_RATE)] = True
    level = np.abs(built.samples.astype(np.int32))
    assert level[inside].mean() > 10 * level[~inside].mean()


def test_turns_are_no_longer_than_asked(voices: dict[str, list[Path]]) -> None:
    built = build(Recipe("short", 2, 20, longest_turn=2.0), voices, 0)
    assert max(each.end - each.start for each in built.reference) <= 2.0 * 1.3


def test_a_telephone_has_no_sound_above_its_band() -> None:
    sound = telephone(utterance(SPEECH / "1688-142285-0003.flac"))
    spectrum = np.abs(np.fft.rfft(sound))
    hertz = np.fft.rfftfreq(len(sound), 1 / SAMPLE_RATE)
    assert spectrum[hertz > 3500].max() < 1e-3 * spectrum.max()


times = st.integers(0, 10**6).map(lambda number: number / 1000)
stretches = st.builds(
    lambda start, length, name: Stretch(start, start + length, name), times, times, st.sampled_from("abc")
)


@given(st.lists(stretches, max_size=6))
def test_rttm_files_are_read_as_they_are_written(turns: list[Stretch]) -> None:
    read = read_rttm(write_rttm("talk", turns))
    assert [each.speaker for each in read] == [each.speaker for each in turns]
    assert [(each.start, each.end) for each in read] == [
        (pytest.approx(each.start), pytest.approx(each.end)) for each in turns
    ]


def test_pauses_are_no_speech() -> None:
    tone = np.sin(np.arange(SAMPLE_RATE) / 5).astype(np.float32)
    silence = np.zeros(SAMPLE_RATE, np.float32)
    sound = np.concatenate([silence, tone, silence[: SAMPLE_RATE // 4], tone, silence, tone])
    assert list(spoken(sound)) == [(SAMPLE_RATE, SAMPLE_RATE * 13 // 4), (SAMPLE_RATE * 17 // 4, SAMPLE_RATE * 21 // 4)]


def test_a_mobile_telephone_keeps_the_times_and_the_band() -> None:
    sound = utterance(next(iter(by_speaker(SPEECH)["1688"])))
    heard = mobile(sound)
    assert len(heard) == len(sound)
    power = np.abs(np.fft.rfft(heard)) ** 2
    above = np.fft.rfftfreq(len(heard), 1 / SAMPLE_RATE) > 4200
    assert power[above].sum() < 0.001 * power.sum()
    quiet = (
        np.convolve(np.abs(sound), np.ones(1600) / 1600, "same"),
        np.convolve(np.abs(heard), np.ones(1600) / 1600, "same"),
    )
    assert np.corrcoef(*quiet)[0, 1] > 0.8
