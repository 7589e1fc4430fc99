"""Normalisation and the errors that are counted."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.evaluate.scoring import Errors, count_errors, matches, units

WORDS = st.lists(st.sampled_from(["a", "b", "c"]), max_size=8)


@pytest.mark.parametrize(
    ("language", "one", "other"),
    [
        ("en", "Mr. Faber's twenty-one colours!", "MISTER FABER IS 21 COLORS"),
        ("de", "Mist, wieder nichts geschafft.", "mist wieder nichts geschafft"),
        ("zh", "苹果表配A P P L E", "苹果表配 Apple。"),
    ],
)
def test_spelling_and_punctuation_are_no_errors(language: str, one: str, other: str) -> None:
    assert units(one, language) == units(other, language)


def test_characters_are_compared_where_there_are_no_spaces() -> None:
    assert units("客観的。", "ja") == ["客", "観", "的"]


def test_each_kind_of_error_is_counted() -> None:
    reference, transcript = "the cat sat on the old mat by a door", "the hat sat mat by a door tonight"
    found = count_errors(reference.split(), transcript.split())
    assert found == Errors(10, replaced=1, dropped=3, invented=1, longest_gap=3)


def test_words_where_nothing_is_said_are_invented() -> None:
    assert count_errors([], ["thank", "you"]) == Errors(0, replaced=0, dropped=0, invented=2)


def test_an_empty_transcript_has_dropped_everything() -> None:
    assert count_errors(["a", "b"], []) == Errors(2, replaced=0, dropped=2, invented=0, longest_gap=2)


@given(WORDS)
def test_equal_texts_have_no_errors(words: list[str]) -> None:
    assert count_errors(words, words).total == 0


@given(WORDS, WORDS)
def test_errors_account_for_the_difference_in_length(reference: list[str], transcript: list[str]) -> None:
    found = count_errors(reference, transcript)
    assert len(transcript) - len(reference) == found.invented - found.dropped


@given(WORDS, WORDS)
def test_there_are_no_more_errors_than_units_in_the_longer_text(reference: list[str], transcript: list[str]) -> None:
    assert count_errors(reference, transcript).total <= max(len(reference), len(transcript))


@given(WORDS, WORDS)
def test_what_is_neither_replaced_nor_dropped_matches_in_order(reference: list[str], transcript: list[str]) -> None:
    found, pairs = count_errors(reference, transcript), matches(reference, transcript)
    assert len(pairs) == len(reference) - found.replaced - found.dropped
    assert all(reference[said] == transcript[heard] for said, heard in pairs)
    assert pairs == sorted(pairs)
