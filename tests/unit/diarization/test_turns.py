"""From windows to turns."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from transcription.core.speakers import Turn
from transcription.diarization.observations import NO_OWNER, VOICE_NUMBERS, Observation
from transcription.diarization.powerset import SETS, frame_time
from transcription.diarization.turns import SHORTEST_TURN, STRETCH_FRAMES, order_of_appearance, turns_of

FRAMES = 589


def window(first_frame: int, *pieces: tuple[int, int, int], told: bool = True, frames: int = FRAMES) -> Observation:
    """A window with pieces: local speaker, start and end in frames. told: whether their voices are."""
    active = np.zeros((frames, 3), bool)
    for local, start, end in pieces:
        active[start:end, local] = True
    sets = [SETS.index(tuple(int(each) for each in np.flatnonzero(row))) for row in active]
    columns = np.array(pieces, np.int16).reshape(-1, 3).T
    return Observation(
        first_frame,
        np.array(sets, np.uint8),
        columns[0].astype(np.int8),
        columns[1],
        columns[2],
        np.full(len(pieces), 1.0 if told else 0.0, np.float32),
        np.zeros((len(pieces), VOICE_NUMBERS), np.float32),
        0.0,
    )


def owners(*people: int) -> np.ndarray:
    return np.array(people, np.int64)


def turn(start: int, end: int, speaker: int) -> Turn:
    return Turn(frame_time(start), frame_time(end), speaker)


def test_the_frames_of_a_piece_are_a_turn_of_its_owner() -> None:
    assert turns_of([window(0, (0, 60, 180))], [owners(1)], 2) == (turn(60, 180, 1),)


def test_two_at_a_time_are_two_turns() -> None:
    found = turns_of([window(0, (0, 0, 200), (1, 100, 300))], [owners(0, 1)], 2)
    assert found == (turn(0, 200, 0), turn(100, 300, 1))


def test_a_short_pause_does_not_end_a_turn() -> None:
    assert turns_of([window(0, (0, 0, 100), (0, 120, 200))], [owners(0, 0)], 1) == (turn(0, 200, 0),)


def test_a_long_pause_ends_a_turn() -> None:
    assert len(turns_of([window(0, (0, 0, 100), (0, 160, 260))], [owners(0, 0)], 1)) == 2


def test_a_turn_of_a_few_frames_is_dropped() -> None:
    assert turns_of([window(0, (0, 0, 100), (1, 200, 205))], [owners(0, 1)], 2) == (turn(0, 100, 0),)


def test_the_window_whose_middle_is_nearer_decides() -> None:
    first, second = window(0, (0, 296, 589)), window(296, (0, 0, 293))
    found = turns_of([first, second], [owners(0), owners(1)], 2)
    assert [(each.speaker, each.start < frame_time(442) <= each.end + 0.02) for each in found] == [
        (0, True),
        (1, False),
    ]


def test_a_guess_gives_way_to_a_voice() -> None:
    first, second = window(0, (0, 296, 589)), window(296, (0, 0, 293), told=False)
    assert turns_of([first, second], [owners(0), owners(1)], 2) == (turn(296, 589, 0),)


def test_a_guess_decides_if_nothing_else_does() -> None:
    assert turns_of([window(0, (0, 0, 100), told=False)], [owners(0)], 1) == (turn(0, 100, 0),)


def test_a_piece_without_an_owner_is_in_no_turn() -> None:
    assert turns_of([window(0, (0, 0, 100))], [owners(NO_OWNER)], 1) == ()


def test_no_windows_have_no_turns() -> None:
    assert turns_of([], [], 0) == ()


def test_a_turn_goes_on_where_the_votes_are_counted_anew() -> None:
    start = STRETCH_FRAMES - 300
    assert turns_of([window(start, (0, 200, 400))], [owners(0)], 1) == (turn(start + 200, start + 400, 0),)


pieces = st.tuples(st.integers(0, 2), st.integers(0, FRAMES - 1), st.integers(1, FRAMES), st.integers(0, 3))


@given(st.lists(st.lists(pieces, max_size=5), max_size=4))
def test_turns_are_ordered_and_long_enough_and_of_one_person_never_overlap(rows: list) -> None:
    kept = [[each for each in row if each[1] < each[2]] for row in rows]
    # Two local speakers of a window at most, as the model says.
    seen = [window(296 * number, *[(local % 2, a, b) for local, a, b, _ in row]) for number, row in enumerate(kept)]
    found = turns_of(seen, [owners(*[each[3] for each in row]) for row in kept], 4)
    assert [each.start for each in found] == sorted(each.start for each in found)
    assert all(each.end - each.start >= SHORTEST_TURN for each in found)
    for person in range(4):
        own = [each for each in found if each.speaker == person]
        assert all(before.end < after.start for before, after in pairwise(own))


def test_speakers_are_in_the_order_in_which_they_appear() -> None:
    assert order_of_appearance([Turn(0, 1, 4), Turn(1, 2, 0), Turn(2, 3, 4)]) == [4, 0]
