"""Conversations of which everything is drawn."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.diarization.conversations import LEAST_UTTERANCES
from benchmarks.diarization.drawn import CHANNELS, CHOOSING, FINAL, SPEAKERS, half_of, recipes

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
