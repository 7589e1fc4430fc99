"""When the time without words after the last one is long enough. Times are seconds of audio."""

from __future__ import annotations

import pytest

from transcription.api.deepgram.word_gaps import WordGaps


@pytest.fixture
def gaps() -> WordGaps:
    """Of at least 1 s. The first utterance has ended, with a word until 2.0."""
    found = WordGaps(1000)
    found.start(0, 0.5)
    found.finish(0, 2.0)
    return found


def test_a_gap_is_found_once_it_has_the_length(gaps: WordGaps) -> None:
    gaps.listen(2.9, 0)
    assert gaps.take() is None
    gaps.listen(3.0, 0)
    assert gaps.take() == 2.0


def test_a_gap_is_found_once(gaps: WordGaps) -> None:
    gaps.listen(3.0, 0)
    gaps.take()
    gaps.listen(9.0, 0)
    assert gaps.take() is None


def test_without_words_there_is_no_gap() -> None:
    gaps = WordGaps(1000)
    gaps.start(0, 0.5)
    gaps.finish(0, None)
    gaps.listen(9.0, 0)
    assert gaps.take() is None


def test_while_an_utterance_lasts_there_is_no_gap(gaps: WordGaps) -> None:
    gaps.start(1, 2.8)
    gaps.listen(9.0, 1)
    assert gaps.take() is None


def test_an_utterance_without_words_does_not_end_the_gap(gaps: WordGaps) -> None:
    gaps.start(1, 2.8)
    gaps.listen(3.5, 1)
    gaps.finish(1, None)
    assert gaps.take() == 2.0


def test_words_of_a_further_utterance_begin_the_gap_anew(gaps: WordGaps) -> None:
    gaps.start(1, 2.8)
    gaps.listen(4.5, 1)
    gaps.finish(1, 4.0)
    assert gaps.take() is None
    gaps.listen(5.0, 1)
    assert gaps.take() == 4.0


def test_a_gap_before_the_next_voice_is_found_even_if_the_words_before_it_come_late() -> None:
    gaps = WordGaps(1000)
    gaps.start(0, 0.5)
    gaps.start(1, 3.2)
    gaps.listen(5.0, 1)
    gaps.finish(0, 2.0)
    assert gaps.take() == 2.0


def test_a_voice_that_has_begun_but_is_not_told_yet_is_waited_for(gaps: WordGaps) -> None:
    gaps.listen(3.1, 1)
    assert gaps.take() is None
    gaps.start(1, 2.9)
    assert gaps.take() is None
