"""Which words count, and which of them are wrong."""

from __future__ import annotations

from benchmarks.diarization.conversations import Stretch
from benchmarks.diarization.words import count_wrong

TURNS = [Stretch(0, 4, "ann"), Stretch(3, 8, "bo"), Stretch(9, 12, "ann")]


def test_labels_are_mapped_to_the_speakers_they_fit_best() -> None:
    words = [Stretch(0, 1, "B"), Stretch(5, 6, "A"), Stretch(9, 10, "B")]
    assert count_wrong(words, TURNS) == (0, 3)


def test_a_word_of_another_speaker_is_wrong() -> None:
    words = [Stretch(0, 1, "A"), Stretch(1, 2, "A"), Stretch(5, 6, "A"), Stretch(6, 7, "B")]
    assert count_wrong(words, TURNS) == (1, 4)


def test_words_of_nobody_or_of_two_people_do_not_count() -> None:
    words = [Stretch(0, 1, "A"), Stretch(3.2, 3.8, "A"), Stretch(8.2, 8.8, "B")]
    assert count_wrong(words, TURNS) == (0, 1)


def test_a_speaker_too_many_is_wrong() -> None:
    words = [Stretch(0, 1, "A"), Stretch(1, 2, "C"), Stretch(5, 6, "B"), Stretch(9, 10, "A")]
    assert count_wrong(words, TURNS) == (1, 4)
