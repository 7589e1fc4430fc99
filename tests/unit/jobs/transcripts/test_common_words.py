"""The longest common subsequence of two texts."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from transcription.jobs.transcripts.common_words import common_words

words = st.lists(st.sampled_from("abc"), max_size=12)


def longest(before: list[str], after: list[str]) -> int:
    """The length of the longest common subsequence, by its definition."""
    row = [0] * (len(after) + 1)
    for word in before:
        above, row = row, [0]
        for place, other in enumerate(after):
            row.append(above[place] + 1 if word == other else max(above[place + 1], row[place]))
    return row[-1]


@given(words, words)
def test_as_many_words_as_possible_are_paired_in_order(before, after):
    pairs = common_words(before, after)
    assert len(pairs) == longest(before, after)
    assert all(before[one] == after[other] for one, other in pairs)
    assert all(a < c and b < d for (a, b), (c, d) in pairwise(pairs))


def test_texts_of_the_same_word_alone_are_no_harder():
    before, after = ["the"] * 5000, ["the"] * 4000 + ["a"] * 1000
    assert len(common_words(before, after)) == 4000


def test_a_word_in_the_middle_is_found():
    before, after = ["one", "two", "three", "four"], ["one", "too", "three", "four"]
    assert common_words(before, after) == [(0, 0), (2, 2), (3, 3)]
