"""The classes of the segmentation model."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from transcription.core.audio import SAMPLE_RATE
from transcription.diarization.powerset import (
    FRAME_SHIFT,
    SETS,
    WINDOW_SAMPLES,
    activity,
    alone,
    frame_time,
    frames_in,
    likeliest,
    runs,
)


def test_a_window_has_as_many_frames_as_the_model_returns() -> None:
    assert frames_in(WINDOW_SAMPLES) == 589


def test_sound_shorter_than_a_receptive_field_has_no_frames() -> None:
    assert (frames_in(990), frames_in(991)) == (0, 1)


@given(arrays(np.uint8, st.integers(0, 50), elements=st.integers(0, 6)))
def test_the_speakers_of_a_frame_are_the_members_of_its_set(sets: np.ndarray) -> None:
    assert [tuple(np.flatnonzero(row)) for row in activity(sets)] == [SETS[each] for each in sets]


def test_no_one_is_alone_while_two_speak() -> None:
    sets = np.array([0, 1, 4, 3], np.uint8)  # silence, the first, the first two, the third
    assert alone(activity(sets)).tolist() == [[False] * 3, [True, False, False], [False] * 3, [False, False, True]]


def test_the_likeliest_set_is_taken() -> None:
    scores = np.log(np.array([[0.1, 0.6, 0.1, 0.05, 0.05, 0.05, 0.05], [0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.4]]))
    assert likeliest(scores.astype(np.float32)).tolist() == [1, 6]


@given(arrays(np.bool_, st.integers(0, 60)))
def test_runs_are_the_stretches_of_true(speaking: np.ndarray) -> None:
    rebuilt = np.zeros_like(speaking)
    previous = -1
    for first, last in runs(speaking):
        assert previous < first < last  # apart, and not empty
        rebuilt[first:last], previous = True, last
    assert (rebuilt == speaking).all()


def test_frames_are_270_samples_apart() -> None:
    assert frame_time(11) - frame_time(10) == pytest.approx(FRAME_SHIFT / SAMPLE_RATE)
