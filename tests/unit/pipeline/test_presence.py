"""When people speak, compared with a count of the tenths of seconds in which they do."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from transcription.pipeline.presence import Presence, together

tenths = st.integers(0, 60)
stretch_lists = st.lists(st.tuples(tenths, tenths), max_size=6)


def presence(stretches: list[tuple[int, int]]) -> Presence:
    """stretches: in tenths of seconds."""
    return Presence((start / 10, end / 10) for start, end in stretches)


def spoken(stretches: list[tuple[int, int]]) -> set[int]:
    return {tenth for start, end in stretches for tenth in range(start, end)}


@given(stretch_lists, tenths, tenths)
def test_the_seconds_within_an_interval_are_those_spoken_in_it(stretches, start, length):
    [found] = presence(stretches).within(np.array([start / 10]), np.array([(start + length) / 10]))
    assert found == pytest.approx(len(spoken(stretches) & set(range(start, start + length))) / 10)


@given(stretch_lists, tenths, tenths)
def test_the_distance_is_that_to_the_nearest_stretch(stretches, start, length):
    end = start + length
    gaps = [max(0, first - end, start - last) for first, last in stretches if first < last]
    [found] = presence(stretches).distance(np.array([start / 10]), np.array([end / 10]))
    assert found == pytest.approx(min(gaps) / 10 if gaps else math.inf)


@given(stretch_lists)
def test_stretches_are_in_order_with_pauses_between_them_and_last_as_long_as_all_speech(stretches):
    edges = [edge for stretch in presence(stretches).stretches for edge in stretch]
    assert edges == sorted(set(edges))
    assert presence(stretches).seconds == pytest.approx(len(spoken(stretches)) / 10)


@given(st.lists(stretch_lists, max_size=4))
def test_people_speak_together_where_two_or_more_do(people):
    said = [spoken(stretches) for stretches in people]
    at_once = {tenth for tenth in range(60) if sum(tenth in one for one in said) > 1}
    found = together([presence(stretches) for stretches in people])
    for tenth in range(60):
        [seconds] = found.within(np.array([tenth / 10]), np.array([(tenth + 1) / 10]))
        assert seconds == pytest.approx(0.1 if tenth in at_once else 0.0, abs=1e-9)
