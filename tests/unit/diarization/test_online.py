"""Whose the utterances of a session are, from those before them alone."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tests.support.observations import TELEPHONE, voice, window
from transcription.diarization.observations import VOICE_NUMBERS, Observation
from transcription.diarization.online import OnlineSpeakers


def said(*people: int, seconds: float = 4.0) -> list[Observation]:
    """An utterance in which these people speak in turn."""
    return [window(*[(local, seconds, voice(person)) for local, person in enumerate(people)])]


def numbers(session: OnlineSpeakers, utterance: list[Observation]) -> list[int]:
    """Who speaks in an utterance, in turn."""
    return [turn.speaker for turn in session.turns(utterance)]


@given(st.lists(st.integers(0, 5), min_size=1, max_size=30), st.integers(0, 2**32 - 1))
def test_each_person_has_one_number_in_the_order_in_which_they_first_speak(people: list[int], seed: int) -> None:
    draw = np.random.default_rng(seed)
    session = OnlineSpeakers()
    found = []
    for person in people:
        varied = voice(person) + draw.normal(0, 0.04, VOICE_NUMBERS).astype(np.float32)
        found += numbers(session, [window((0, 4.0, varied / np.linalg.norm(varied)))])
    order = list(dict.fromkeys(people))
    assert found == [order.index(person) for person in people]


def test_the_people_of_one_utterance_are_told_apart() -> None:
    session = OnlineSpeakers()
    assert numbers(session, said(3, 1)) == [0, 1]
    assert numbers(session, said(1, 3)) == [1, 0]


def test_someone_new_is_told_apart_once_enough_was_heard() -> None:
    session = OnlineSpeakers()
    numbers(session, said(0, seconds=10.0))
    assert numbers(session, said(1, seconds=2.0)) == [0]
    assert numbers(session, said(1, seconds=2.0)) == [1]
    assert numbers(session, said(1, seconds=0.4)) == [1]


def test_the_first_one_is_someone_however_little_was_heard() -> None:
    assert numbers(OnlineSpeakers(), said(0, seconds=0.4)) == [0]


def test_there_are_at_most_so_many() -> None:
    session = OnlineSpeakers(most=2)
    assert numbers(session, said(0)) == [0]
    assert numbers(session, said(1)) == [1]
    assert numbers(session, [window((0, 9.0, voice(2, 1, 0.5)))]) == [1]


def test_two_who_turn_out_to_be_one_have_the_first_ones_number_from_then_on() -> None:
    session = OnlineSpeakers()
    assert numbers(session, said(0)) == [0]
    assert numbers(session, [window((0, 4.0, voice(1, 0, 0.5)))]) == [1]
    for _ in range(4):
        numbers(session, [window((0, 9.0, voice(0, 1, 0.9)))])
    assert numbers(session, [window((0, 2.0, voice(1, 0, 0.5)))]) == [0]


def test_a_telephones_voices_are_told_apart_at_a_smaller_distance() -> None:
    similar = voice(1, 0, 0.78)  # cosine distance 0.38
    for band_gap, expected in ((1.0, [0]), (TELEPHONE, [1])):
        session = OnlineSpeakers()
        numbers(session, [window((0, 5.0, voice(0)), band_gap=band_gap)])
        assert numbers(session, [window((0, 5.0, similar), band_gap=band_gap)]) == expected


def test_without_a_voice_no_one_speaks() -> None:
    session = OnlineSpeakers()
    assert session.turns([]) == ()
    assert session.turns([window((0, 0.2, np.zeros(VOICE_NUMBERS)))]) == ()


def test_a_session_keeps_a_bounded_number_of_unassigned_voices() -> None:
    session = OnlineSpeakers(most=1)
    for person in range(150):
        session.turns(said(person % VOICE_NUMBERS, seconds=1.5))
    assert len(session._unassigned) <= 30
