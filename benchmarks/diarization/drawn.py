"""Conversations of which everything is drawn: who, how many, how they take turns, what the line or the room is like.

The speakers are divided into two halves that share no one: what is chosen on one half is confirmed on the other.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.diarization.conversations import LEAST_UTTERANCES, Conversation, Recipe, build, separator_in

CHOOSING, FINAL = "choosing", "final"
HALVES = (CHOOSING, FINAL)
LEAST_IN_A_SITTING = 2  # recordings of a speaker, where only those of one chapter are used
SECONDS = 120.0
SPEAKERS = range(1, 7)
OVERLAPPING = 0.15  # of the turns, at most
# Seconds of the turns of a conversation, least and most: quick, anything, speeches.
TURNS = ((0.7, 2.5), (0.7, 15.0), (3.0, 15.0))
CHANNELS: Mapping[str, Mapping[str, Any]] = {
    "clean": {},
    "telephone": {"telephone": True},
    "mobile": {"telephone": True, "mobile": True},
    "noise": {"noise_db": 15.0},
    "room": {"echo": 0.4, "noise_db": 25.0},
}


def half_of(voices: Mapping[str, Sequence[Path]], half: str) -> dict[str, Sequence[Path]]:
    """Every other speaker of those with enough recordings, in the order of their names."""
    enough = [name for name in sorted(voices) if len(voices[name]) >= LEAST_UTTERANCES]
    return {name: voices[name] for name in enough[HALVES.index(half) :: 2]}


def one_sitting(voices: Mapping[str, Sequence[Path]]) -> dict[str, Sequence[Path]]:
    """Of each speaker the chapter with the most recordings: others may be of another day, room and way of speaking."""
    chosen = {}
    for name, paths in voices.items():
        chapters: dict[str, list[Path]] = {}
        for path in paths:
            chapters.setdefault(path.name.rsplit(separator_in(path.name), 1)[0], []).append(path)
        chosen[name] = chapters[max(chapters, key=lambda chapter: (len(chapters[chapter]), chapter))]
    return chosen


def recipes(seeds: int) -> Iterator[tuple[Recipe, int]]:
    """For each seed a conversation of each number of speakers on each channel, and the seed to build it with."""
    for seed in range(seeds):
        draw = np.random.default_rng(seed)
        for channel, how in CHANNELS.items():
            for speakers in SPEAKERS:
                turns = TURNS[draw.integers(len(TURNS))]
                name = f"{channel}-{speakers}-{turns[0]:g}-{turns[1]:g}-{seed}"
                overlapping = float(draw.uniform(0, OVERLAPPING))
                recipe = Recipe(name, speakers, SECONDS, overlapping, longest_turn=turns, **how)
                yield recipe, int(draw.integers(2**31))


def drawn(
    voices: Mapping[str, Sequence[Path]], half: str, seeds: int, *, in_one_sitting: bool = False
) -> Iterator[Conversation]:
    """Conversations between the people of one half; the same for the same voices."""
    people, least = half_of(voices, half), LEAST_UTTERANCES
    if in_one_sitting:
        people, least = one_sitting(people), LEAST_IN_A_SITTING
    return (build(recipe, people, seed, least) for recipe, seed in recipes(seeds))
