"""How many people there are, and which piece is whose."""

from __future__ import annotations

from itertools import pairwise, product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tests.support.observations import WIDE, voice, window
from transcription.core.errors import InvalidParameter
from transcription.core.speakers import LETTERS, MAX_SPEAKERS, KnownVoice, SpeakerOptions
from transcription.diarization.observations import NO_OWNER, VOICE_NUMBERS, Observation
from transcription.diarization.people import best_path, people_in, people_of_pieces, voices_of


def conversation(*shares: tuple[int, float], band_gap: float = WIDE) -> list[Observation]:
    """Windows in which people (numbers) speak for so many seconds each, in pieces of 2 s."""
    pieces = [(0, 2.0, voice(person)) for person, seconds in shares for _ in range(int(seconds / 2))]
    return [window(*pieces, band_gap=band_gap)]


def test_people_with_enough_speech_are_found() -> None:
    assert len(people_in(conversation((0, 20), (1, 10), (2, 4)), SpeakerOptions())) == 3


def test_a_voice_heard_briefly_is_not_another_person() -> None:
    assert len(people_in(conversation((0, 60), (1, 2)), SpeakerOptions())) == 1


def test_in_a_short_recording_a_voice_heard_briefly_is_another_person() -> None:
    assert len(people_in(conversation((0, 6), (1, 2)), SpeakerOptions())) == 2


def test_pieces_of_a_second_tell_people_apart_in_a_short_recording_only() -> None:
    def pieces(seconds: int) -> list[Observation]:
        first = [(0, 2.0, voice(0)) for _ in range(seconds // 2)]
        return [window(*first, *[(1, 1.2, voice(1)) for _ in range(4)])]

    assert len(people_in(pieces(10), SpeakerOptions())) == 2
    assert len(people_in(pieces(60), SpeakerOptions())) == 1


def test_the_only_voice_is_a_person_however_brief() -> None:
    assert len(people_in([window((0, 0.5, voice(0)))], SpeakerOptions())) == 1


def test_without_voices_there_are_no_people() -> None:
    assert len(people_in([], SpeakerOptions())) == 0
    assert len(people_in([window((0, 0.2, np.zeros(VOICE_NUMBERS)))], SpeakerOptions())) == 0


def test_pieces_of_a_second_tell_people_apart_where_most_are_so_short() -> None:
    def pieces(short: int) -> list[Observation]:
        long = [(0, 2.0, voice(0)) for _ in range(20)]
        return [window(*long, *[(local, 1.2, voice(local)) for local in (1, 2) for _ in range(short // 2)])]

    assert len(people_in(pieces(40), SpeakerOptions())) == 3  # 40 s in pieces of 2 s, 48 s in shorter ones
    assert len(people_in(pieces(20), SpeakerOptions())) == 1


NEAR, FAR = voice(1, 0, 0.436), voice(1, 0, 0.292)  # from voice(0): cosine distances 0.60 and 0.72


def dialogue(*people: np.ndarray, turns: int) -> list[Observation]:
    """Two or more people who speak in each window, told apart by the segmentation."""
    return [window(*[(local, 2.0, each) for local, each in enumerate(people)]) for _ in range(turns)]


def test_similar_voices_that_take_turns_are_two_people() -> None:
    assert len(people_in(dialogue(voice(0), NEAR, turns=10), SpeakerOptions())) == 2
    assert len(people_in(dialogue(voice(0), turns=10) + dialogue(NEAR, turns=10), SpeakerOptions())) == 1


def test_similar_voices_that_the_segmentation_takes_for_one_as_often_are_one_person() -> None:
    together = [window((0, 2.0, voice(0)), (0, 2.0, NEAR)) for _ in range(10)]
    assert len(people_in(dialogue(voice(0), NEAR, turns=10) + together, SpeakerOptions())) == 1


def test_different_voices_that_talk_to_others_and_never_to_each_other_are_one_person() -> None:
    """Someone whose voice varies, as on the telephone and in the room, does not take turns with himself."""
    other = voice(2)
    heard = dialogue(voice(0), other, turns=5) + dialogue(FAR, other, turns=5)
    assert len(people_in(heard, SpeakerOptions())) == 2
    assert len(people_in(heard + dialogue(voice(0), FAR, turns=1), SpeakerOptions())) == 3
    assert len(people_in(heard, SpeakerOptions(num_speakers=3))) == 3


def test_different_voices_that_had_no_occasion_to_talk_are_two_people() -> None:
    assert len(people_in(dialogue(voice(0), turns=5) + dialogue(FAR, turns=5), SpeakerOptions())) == 2


def test_what_little_a_person_says_is_not_lost_because_the_voice_varies() -> None:
    pieces = [(0, 2.0, voice(0)), (0, 2.0, NEAR)]  # 4 s, none of them alike enough to be a cluster of 4 s
    long = conversation((2, 60), (3, 60))
    assert len(people_in([*long, window(*pieces)], SpeakerOptions())) == 3


@given(st.integers(1, 6))
def test_at_most_so_many_are_found(most: int) -> None:
    found = people_in(conversation(*[(person, 10) for person in range(6)]), SpeakerOptions(max_speakers=most))
    assert len(found) == most


def test_two_alike_are_told_apart_if_there_are_two() -> None:
    pieces = [(0, 2.0, each) for each in (voice(0), voice(1, 0, 1.5)) for _ in range(5)]  # cosine distance 0.17
    assert len(people_in([window(*pieces)], SpeakerOptions())) == 1
    assert len(people_in([window(*pieces)], SpeakerOptions(num_speakers=2))) == 2


def test_a_voice_heard_briefly_is_a_person_if_so_many_are_said_to_speak() -> None:
    heard = conversation((0, 60), (1, 30), (2, 2))
    assert len(people_in(heard, SpeakerOptions())) == 2
    assert len(people_in(heard, SpeakerOptions(num_speakers=3))) == 3


def test_more_people_than_there_are_voices_cost_none_of_those_found() -> None:
    heard = conversation((0, 20), (1, 20), (2, 20))
    assert len(people_in(heard, SpeakerOptions(min_speakers=9))) == 3


def test_people_are_the_same_if_the_recording_is_clustered_in_blocks() -> None:
    long = conversation(*[(person, 20) for _ in range(30) for person in range(3)])  # 900 voices
    found = people_in(long, SpeakerOptions())
    assert sorted(found.argmax(axis=1).tolist()) == [0, 1, 2]


def test_a_piece_without_a_voice_goes_to_who_speaks_before() -> None:
    silent = np.zeros(VOICE_NUMBERS)
    seen = window((0, 2.0, voice(1)), (0, 0.1, silent), (1, 2.0, voice(0)), (2, 0.1, silent))
    assert people_of_pieces(seen, np.array([voice(0), voice(1)])).tolist() == [1, 1, 0, -1]


def test_a_local_speaker_may_be_two_people() -> None:
    seen = window((0, 2.0, voice(0)), (0, 2.0, voice(1)))
    assert people_of_pieces(seen, np.array([voice(0), voice(1)])).tolist() == [0, 1]


def test_the_voice_of_a_person_is_that_of_their_pieces_by_length() -> None:
    heard = [window((0, 3.0, voice(0)), (1, 2.0, voice(5))), window((0, 1.0, voice(1)), (2, 2.0, voice(7)))]
    owners = [np.array([1, 0]), np.array([1, NO_OWNER])]
    found = voices_of(heard, owners, 2)
    assert found[0] == pytest.approx(voice(5))
    assert found[1] == pytest.approx(voice(0, 1, 1 / 3))


evidence = st.tuples(st.integers(1, 5), st.integers(1, 3)).flatmap(
    lambda shape: arrays(np.float32, shape, elements=st.floats(-1, 1, width=32))
)


@given(evidence, st.floats(0, 1, width=32))
def test_the_best_path_is_the_best_of_all(rows: np.ndarray, cost: float) -> None:
    def worth(path: tuple[int, ...]) -> float:
        changes = sum(before != after for before, after in pairwise(path))
        return sum(float(rows[row, column]) for row, column in enumerate(path)) - cost * changes

    best = max(worth(path) for path in product(range(rows.shape[1]), repeat=len(rows)))
    assert worth(tuple(best_path(rows, cost))) == pytest.approx(best, abs=1e-4)


@pytest.mark.parametrize("counts", [{"num_speakers": 0}, {"max_speakers": 200}, {"min_speakers": -1}])
def test_a_count_out_of_range_is_refused(counts: dict[str, int]) -> None:
    with pytest.raises(InvalidParameter, match="must be from 1 to 50"):
        SpeakerOptions(**counts)


def test_a_least_number_above_the_most_is_refused() -> None:
    with pytest.raises(InvalidParameter, match="min_speakers"):
        SpeakerOptions(min_speakers=3, max_speakers=2)


def test_an_exact_number_and_a_range_are_refused() -> None:
    with pytest.raises(InvalidParameter, match="not both"):
        SpeakerOptions(num_speakers=3, max_speakers=4)


def test_two_known_speakers_of_one_name_are_refused() -> None:
    ann = KnownVoice("Ann", ())
    with pytest.raises(InvalidParameter, match="same name"):
        SpeakerOptions(known=(ann, ann))


def test_more_known_speakers_than_can_be_told_apart_are_refused() -> None:
    people = tuple(KnownVoice(f"Ann {number}", ()) for number in range(MAX_SPEAKERS + 1))
    assert SpeakerOptions(known=people[1:]).known == people[1:]
    with pytest.raises(InvalidParameter, match="at most 50"):
        SpeakerOptions(known=people)


@pytest.mark.parametrize(("labels", "name"), [("P", "P3"), ("P", "P00"), (LETTERS, "A"), (LETTERS, "AB")])
def test_a_known_speaker_with_the_label_of_another_is_refused(labels: str, name: str) -> None:
    with pytest.raises(InvalidParameter, match="label of a speaker"):
        SpeakerOptions(known=(KnownVoice(name, ()),), labels=labels)


@pytest.mark.parametrize(("labels", "name"), [("P", "Paul"), (LETTERS, "Al"), (LETTERS, "CEO"), ("P", "A")])
def test_a_known_speaker_may_have_any_other_name(labels: str, name: str) -> None:
    assert SpeakerOptions(known=(KnownVoice(name, ()),), labels=labels).known[0].name == name
