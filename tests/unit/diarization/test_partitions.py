"""Which of several ways to divide the pieces among so many people is taken."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.observations import voice
from transcription.diarization.clustering import Clusters
from transcription.diarization.partitions import best_partition, evidence

LEAST = 4.0  # seconds of a person


def pieces(*said: tuple[np.ndarray, float]) -> Clusters:
    """Pieces: a voice, and the seconds."""
    return Clusters(np.array([each for each, _ in said], np.float32), np.array([seconds for _, seconds in said]))


def voices(*each: np.ndarray) -> np.ndarray:
    return np.array(each, np.float32)


ANN, BO, CY = voice(0), voice(1), voice(2)
HOARSE = voice(0, 3, 1.0)  # Ann's voice on another day: cosine 0.71
SAID = pieces(*[(each, 2.0) for each in (ANN, HOARSE, BO, CY) for _ in range(5)])


def test_of_as_many_people_those_are_taken_that_explain_the_pieces_best() -> None:
    two_as_one = voices(ANN, HOARSE, BO + CY)  # what linkage makes of similar voices, and of one that varies
    for starts in ([two_as_one], [two_as_one, voices(ANN, BO, CY)]):
        found = best_partition(SAID, starts, 3, LEAST)
        assert found is not None
        alike = found @ voices(ANN, BO, CY).T
        is_right = alike.max(axis=0) > 0.9
        assert is_right.all() == (len(starts) == 2)


def test_evidence_is_for_one_person_whose_voice_varies_and_against_two_people_as_one() -> None:
    right, two_as_one = ([0] * 10 + [1] * 5 + [2] * 5), ([0] * 5 + [1] * 5 + [2] * 10)
    assert evidence(SAID, np.array(right)) > evidence(SAID, np.array(two_as_one))


def test_short_pieces_are_less_evidence() -> None:
    """Whose three pieces at the end are: that they are short or long decides how much it matters."""

    def lost(seconds: float) -> float:
        said = pieces(*[(each, 2.0) for each in (ANN, BO) for _ in range(5)], *[(BO, seconds)] * 3)
        owners = np.array([0] * 5 + [1] * 8)
        return evidence(said, owners) - evidence(said, np.array([0] * 5 + [1] * 5 + [0] * 3))

    assert 0 < lost(0.4) < 0.5 * lost(2.0)


@given(st.integers(0, 1000), st.integers(1, 5))
def test_pieces_are_taken_back_from_whom_they_were_given_to_first(seed: int, people: int) -> None:
    draw = np.random.default_rng(seed)
    said = pieces(*[(voice(person), 2.0) for person in range(people) for _ in range(4)])
    blurred = np.eye(192, dtype=np.float32)[:people] + draw.uniform(0, 0.3, (people, 192)).astype(np.float32)
    found = best_partition(said, [blurred], people, LEAST)
    assert found is not None
    assert sorted(found.argmax(axis=1).tolist()) == list(range(people))
    assert found.max(axis=1) == pytest.approx(np.ones(people))


def test_more_voices_than_people_are_joined_and_those_with_little_speech_are_dropped() -> None:
    said = pieces(*[(each, 2.0) for each in (ANN, HOARSE, BO) for _ in range(5)], (CY, 1.0))
    found = best_partition(said, [voices(ANN, HOARSE, BO, CY)], 2, LEAST)
    assert found is not None
    assert (found @ voices(ANN, BO).T).max(axis=0).min() > 0.9


def test_too_few_voices_to_begin_with_lead_to_no_result() -> None:
    assert best_partition(SAID, [voices(ANN, BO)], 3, LEAST) is None
    assert best_partition(SAID, [], 3, LEAST) is None
