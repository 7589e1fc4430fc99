"""Conversations of which everything is drawn."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.diarization.conversations import LEAST_UTTERANCES
from benchmarks.diarization.drawn import CHANNELS, CHOOSING, FINAL, SPEAKERS, half_of, one_sitting, recipes

VOICES = {f"{number}": [Path(f"{number}-1-{each}.flac") for each in range(LEAST_UTTERANCES)] for number in range(7)}


def test_the_halves_share_no_one_and_leave_no_one_out() -> None:
    choosing, final = half_of(VOICES, CHOOSING), half_of(VOICES, FINAL)
    assert not choosing.keys() & final.keys()
    assert choosing.keys() | final.keys() == VOICES.keys()


def test_someone_with_few_recordings_is_in_neither_half() -> None:
    few = {**VOICES, "7": VOICES["0"][1:]}
    assert half_of(few, CHOOSING) == half_of(VOICES, CHOOSING)
    assert half_of(few, FINAL) == half_of(VOICES, FINAL)


@pytest.mark.parametrize("seeds", [1, 2])
def test_there_is_a_conversation_of_each_number_of_people_on_each_channel(seeds: int) -> None:
    made = [recipe for recipe, _ in recipes(seeds)]
    assert len({recipe.name for recipe in made}) == seeds * len(CHANNELS) * len(SPEAKERS)
    assert {recipe.speakers for recipe in made} == set(SPEAKERS)


def test_more_seeds_leave_the_first_conversations_as_they_were() -> None:
    assert list(recipes(2))[: len(list(recipes(1)))] == list(recipes(1))


def test_one_sitting_is_the_chapter_with_the_most_recordings() -> None:
    chapters = {"5": [Path(f"5-{name}.flac") for name in ("10-0", "11-0", "11-1", "12-0")]}
    assert one_sitting(chapters) == {"5": [Path("5-11-0.flac"), Path("5-11-1.flac")]}


def test_recordings_without_chapters_are_all_of_one_sitting() -> None:
    aishell = {"BAC009S0150": [Path(f"BAC009S0150W{number:04}.flac") for number in range(3)]}
    assert one_sitting(aishell) == aishell
