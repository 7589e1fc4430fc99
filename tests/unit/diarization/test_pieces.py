"""Stretches of speech are cut into pieces."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from transcription.diarization.pieces import LONGEST_PIECE, SHORTEST_PART, cut, pieces_of
from transcription.diarization.powerset import FRAMES_PER_SECOND, SETS

FRAMES = 589
MEL_FRAMES = 998
WHOLE = (0, FRAMES)


def scores(*stretches: tuple[int, int, int]) -> np.ndarray:
    """Log probabilities with a set (its index) in frames from start to end, and silence elsewhere."""
    sets = np.zeros(FRAMES, np.int64)
    for each, start, end in stretches:
        sets[start:end] = each
    certain = np.full((FRAMES, len(SETS)), 0.01, np.float32)
    certain[np.arange(FRAMES), sets] = 0.94
    return np.log(certain)


@given(st.integers(0, 200), st.integers(1, 800), st.integers(0, 2**32 - 1))
def test_parts_are_neither_too_long_nor_too_short_and_leave_nothing_out(start: int, length: int, seed: int) -> None:
    pauses = np.random.default_rng(seed).random(start + length, np.float32)
    parts = list(cut(start, start + length, pauses))
    assert (parts[0][0], parts[-1][1]) == (start, start + length)
    assert all(before[1] == after[0] for before, after in pairwise(parts))
    assert all(last - first <= LONGEST_PIECE * FRAMES_PER_SECOND for first, last in parts)
    assert len(parts) == 1 or all(last - first >= int(SHORTEST_PART * FRAMES_PER_SECOND) for first, last in parts)


def test_a_long_stretch_is_cut_where_a_pause_is_likeliest() -> None:
    pauses = np.zeros(240, np.float32)
    pauses[100] = 0.3
    assert list(cut(0, 240, pauses)) == [(0, 100), (100, 240)]


def test_a_stretch_of_each_local_speaker_is_a_piece() -> None:
    found = pieces_of(scores((1, 50, 150), (3, 200, 320)), WHOLE, MEL_FRAMES)
    assert [(each.local, each.start, each.end) for each in found] == [(0, 50, 150), (2, 200, 320)]


def test_a_voice_is_taken_from_where_no_one_else_speaks() -> None:
    both = SETS.index((0, 1))
    first, second = pieces_of(scores((1, 0, 60), (both, 60, 120), (2, 120, 170)), WHOLE, MEL_FRAMES)
    assert (first.end, second.start) == (120, 60)
    assert first.voice.max() < second.voice.min()


def test_a_piece_with_too_little_alone_has_no_voice() -> None:
    both = SETS.index((0, 1))
    pieces = pieces_of(scores((1, 0, 10), (both, 10, 100)), WHOLE, MEL_FRAMES)
    assert [len(each.voice) for each in pieces] == [0, 0]


def test_pieces_outside_the_core_are_left_to_the_next_window() -> None:
    found = pieces_of(scores((1, 10, 60), (1, 200, 260)), (146, 442), MEL_FRAMES)
    assert [(each.start, each.end) for each in found] == [(200, 260)]


def test_no_frames_have_no_pieces() -> None:
    assert pieces_of(np.empty((0, len(SETS)), np.float32), (0, 0), 3) == []
