"""Words that stay keep their times; others share the time between."""

from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from transcription.core.transcript import Word
from transcription.jobs.transcripts.retiming import retimed, units_of


def said(text: str, *, spaced: bool = True) -> list[Word]:
    """Each word takes half a second, and half a second passes before the next one."""
    space = " " if spaced else ""
    return [Word(space + word, place + 0.0, place + 0.5, 0.8) for place, word in enumerate(text.split())]


def times(text: str, before: list[Word], end: float = 10.0) -> list[tuple[str, float, float]]:
    return [(word.text, word.start, word.end) for word in retimed(text, 0.0, end, before, units_of(text))]


def test_words_that_did_not_change_keep_their_times_and_probabilities():
    before = said("see you at noon")
    assert list(retimed(" see you at noon", 0.0, 10.0, before, units_of(" see you at noon"))) == before


def test_a_word_that_is_replaced_gives_its_time_to_the_new_one():
    assert times(" see you at noun", said("see you at noon"))[3] == (" noun", 3.0, 3.5)


def test_two_words_share_the_time_of_the_one_that_they_replace():
    assert times(" can not go", said("cannot go")) == [(" can", 0.0, 0.25), (" not", 0.25, 0.5), (" go", 1.0, 1.5)]


def test_an_inserted_word_gets_the_pause():
    assert times(" see you all at", said("see you at"))[2] == (" all", 1.5, 2.0)


def test_a_word_that_is_left_out_leaves_a_pause():
    assert times(" see noon", said("see you noon")) == [(" see", 0.0, 0.5), (" noon", 2.0, 2.5)]


def test_case_and_punctuation_do_not_make_another_word():
    before = said("hello robert")
    (hello, robert) = retimed(" Hello, Robert!", 0.0, 10.0, before, units_of(" Hello, Robert!"))
    assert (hello.text, hello.start, hello.end, hello.probability) == (" Hello,", 0.0, 0.5, 0.8)
    assert robert.text == " Robert!"


def test_a_new_word_is_certain():
    assert retimed(" new", 0.0, 1.0, said("old"), units_of(" new"))[0].probability == 1.0


def test_text_where_nothing_was_said_fills_its_segment():
    assert times(" one four", [], end=7.0) == [(" one", 0.0, 3.0), (" four", 3.0, 7.0)]


def test_characters_without_spaces_keep_the_times_of_their_words():
    before = [Word("今天", 0.0, 1.0, 0.9), Word("天气", 1.0, 2.0, 0.9), Word("很好。", 3.0, 4.0, 0.9)]
    assert times("今天天气不好。", before) == [
        *(("今天", 0.0, 1.0), ("天气", 1.0, 2.0)),
        *(("不", 3.0, pytest.approx(3 + 1 / 3)), ("好。", pytest.approx(3 + 1 / 3), 4.0)),
    ]


texts = st.text("ab 今天ก.", max_size=25).filter(str.strip)


@given(texts, texts, st.floats(0, 3), st.floats(0, 30))
@example("ก", "กaaaaa", 0.0, 26.634521385202888)  # a third and a sixth of it, rounded, are more than all
def test_words_are_in_order_inside_their_segment_and_join_to_its_text(before, after, start, seconds):
    text = " " + " ".join(after.split())
    words = retimed(text, start, start + seconds, said(before), units_of(text))
    assert "".join(word.text for word in words) == text
    assert all(start <= word.start <= word.end <= start + seconds for word in words)
    assert all(one.end <= other.start for one, other in pairwise(words))
    assert all(word.text.strip() for word in words)
