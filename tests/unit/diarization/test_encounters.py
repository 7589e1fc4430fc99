"""Who takes turns with whom."""

from __future__ import annotations

import numpy as np

from tests.unit.diarization.test_people import voice, window
from transcription.diarization.encounters import encounters
from transcription.diarization.observations import NO_OWNER


def test_pieces_of_two_people_in_a_window_are_apart_or_together() -> None:
    talk = window((0, 2.0, voice(0)), (1, 2.0, voice(1)))
    blur = window((0, 2.0, voice(0)), (0, 2.0, voice(1)))
    seen = encounters([talk, talk, blur], [np.array([0, 1])] * 3, 2)
    assert seen.apart.tolist() == [[0, 2], [2, 0]]
    assert seen.together.tolist() == [[0, 1], [1, 0]]


def test_pieces_of_nobody_and_very_short_ones_are_no_evidence() -> None:
    seen = encounters(
        [window((0, 2.0, voice(0)), (1, 0.4, voice(1)), (2, 2.0, voice(2)))], [np.array([0, 1, NO_OWNER])], 3
    )
    assert not seen.apart.any()
    assert not seen.together.any()


def test_people_who_talk_much_are_expected_to_talk_to_each_other() -> None:
    """A host and two guests: 12 encounters of the host with each; those of the guests would be a quarter of that."""
    with_host = [window((0, 2.0, voice(0)), (1, 2.0, voice(1)))] * 24
    guests = [np.array([0, 1])] * 12 + [np.array([0, 2])] * 12
    seen = encounters(with_host, guests, 3)
    assert seen.expected[1, 2] == 12 * 12 / 48
    assert seen.expected[0, 1] == 24 * 12 / 48
