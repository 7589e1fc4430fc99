"""Observations as text."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from transcription.diarization.kept import UNREADABLE, packed, restored, unpacked
from transcription.diarization.observations import VOICE_NUMBERS, Observation


def observation(number: int, pieces: int = 2) -> Observation:
    random = np.random.default_rng(number)
    return Observation(
        first_frame=number * 296,
        sets=random.integers(0, 7, 589, np.uint8),
        locals=random.integers(0, 3, pieces, np.int8),
        starts=random.integers(0, 300, pieces, np.int16),
        ends=random.integers(300, 600, pieces, np.int16),
        seconds=random.random(pieces, np.float32),
        voices=random.random((pieces, VOICE_NUMBERS), np.float32).astype(np.float16).astype(np.float32),
        band_gap=random.random(),
    )


def as_lists(seen: list[Observation]) -> list[object]:
    return [
        [getattr(each, name).tolist() for name in ("sets", "locals", "starts", "ends", "seconds", "voices")]
        + [each.first_frame, each.band_gap]
        for each in seen
    ]


@given(st.integers(0, 10_000), st.lists(st.integers(0, 5), max_size=4))
def test_what_is_packed_is_unpacked(first: int, pieces: list[int]) -> None:
    seen = [observation(first + place, count) for place, count in enumerate(pieces)]
    start, again = unpacked(packed(first, seen))
    assert (start, as_lists(again)) == (first, as_lists(seen))
    assert all(each.voices.dtype == np.float32 and each.sets.dtype == np.uint8 for each in again)


def test_chunks_join_and_may_overlap() -> None:
    seen = [observation(number) for number in range(6)]
    chunks = [packed(0, seen[:2]), packed(1, seen[1:4]), packed(4, seen[4:])]
    assert as_lists(restored(chunks)) == as_lists(seen)


def test_what_follows_a_gap_or_damage_is_not_restored() -> None:
    seen = [observation(number) for number in range(6)]
    first, gap = packed(0, seen[:2]), packed(3, seen[3:])
    assert len(restored([first, gap])) == len(restored([first, "damaged", packed(2, seen[2:])])) == 2
    assert restored([gap]) == []


@given(st.integers(0, 1500), st.characters(codec="ascii"))
def test_damaged_text_is_recognised_or_gives_something_like_observations(place: int, character: str) -> None:
    text = packed(0, [observation(0)])
    try:
        _, seen = unpacked(text[:place] + character + text[place + 1 :])
    except UNREADABLE:
        return
    assert all(each.voices.shape[1] == VOICE_NUMBERS for each in seen)


@pytest.mark.parametrize("text", ["", "x", packed(0, [observation(0)])[:-40]])
def test_text_that_breaks_off_is_not_restored(text: str) -> None:
    assert restored([text]) == []
