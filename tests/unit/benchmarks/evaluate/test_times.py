"""Edges of segments and words, compared through the words they belong to."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.evaluate.references import Spoken
from benchmarks.evaluate.times import TimeErrors, time_errors

SAID = (Spoken(1.0, 3.0, "ONE TWO THREE"), Spoken(4.0, 6.0, "four five"))


def test_a_shift_of_all_segments_is_found_at_every_edge() -> None:
    heard = [Spoken(1.5, 3.25, "One, two, three."), Spoken(4.5, 6.25, "Four five!")]
    assert time_errors(SAID, heard, "en") == TimeErrors((0.5, 0.5), (0.25, 0.25), edges=2)


def test_a_segment_of_two_utterances_has_one_start_and_one_end() -> None:
    heard = [Spoken(0.5, 6.5, "one two three four five")]
    assert time_errors(SAID, heard, "en") == TimeErrors((-0.5,), (0.5,), edges=2)


def test_an_utterance_that_was_misheard_at_its_edge_does_not_count() -> None:
    heard = [Spoken(1.0, 3.0, "won two three"), Spoken(9.0, 6.0, "for five")]
    assert time_errors(SAID, heard, "en") == TimeErrors((), (0.0, 0.0), edges=2)


def test_words_are_compared_at_the_edges_of_utterances() -> None:
    heard = [
        Spoken(1.25 + second, 1.75 + second, word)
        for second, word in enumerate(["one", "two", "three", "four", "five"])
    ]
    assert time_errors(SAID, heard, "en") == TimeErrors((0.25, 0.25), (0.75, -0.25), edges=2)


def test_numbers_are_the_same_as_words_and_as_digits() -> None:
    said, heard = [Spoken(1.0, 1.5, "six"), Spoken(3.0, 3.5, "one")], [Spoken(1.25, 1.5, "6,"), Spoken(3.25, 3.5, "1.")]
    assert time_errors(said, heard, "en") == TimeErrors((0.25, 0.25), (0.0, 0.0), edges=2)


def test_a_contraction_is_several_words() -> None:
    said, heard = [Spoken(1.0, 3.0, "we are gonna go")], [Spoken(1.5, 3.25, "We are going to go.")]
    assert time_errors(said, heard, "en") == TimeErrors((0.5,), (0.25,), edges=1)


def test_a_transcript_without_words_has_no_edges() -> None:
    assert time_errors(SAID, [Spoken(0, 1, "...")], "en") == TimeErrors((), (), edges=2)


def test_characters_are_aligned_in_languages_without_spaces() -> None:
    said, heard = [Spoken(1.0, 2.0, "苹果"), Spoken(3.0, 4.0, "表配")], [Spoken(1.5, 4.5, "苹果表配")]
    assert time_errors(said, heard, "zh") == TimeErrors((0.5,), (0.5,), edges=2)


@given(st.lists(st.sampled_from(["a b", "c", "d e f"]), max_size=5))
def test_a_transcript_that_is_the_reference_is_exact(texts: list[str]) -> None:
    pieces = [Spoken(2.0 * number, 2.0 * number + 1, text) for number, text in enumerate(texts)]
    found = time_errors(pieces, pieces, "en")
    assert found.starts == found.ends == (0.0,) * len(texts)


@pytest.mark.parametrize("shift", [-0.5, 0.25])
def test_early_is_negative_and_late_positive(shift: float) -> None:
    heard = [Spoken(each.start + shift, each.end + shift, each.text) for each in SAID]
    assert time_errors(SAID, heard, "en").starts == (shift, shift)
