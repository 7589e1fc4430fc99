"""Where the audio of long speech is cut."""

from tests.support.hypotheses import words
from transcription.live.cutting import LONG_SECONDS, SHORT_SECONDS, cut_time

LONGER = SHORT_SECONDS + 0.5  # than is left whole
LONG = LONG_SECONDS + 0.5


def test_short_audio_is_not_cut():
    assert cut_time(0.0, SHORT_SECONDS, words("One. Two. Three. Four. Five. Six."), []) is None


def test_longer_audio_is_cut_after_a_sentence():
    spoken = words("this is one sentence here. and another")
    assert cut_time(0.0, LONGER, spoken, []) == spoken[4].end


def test_the_cut_is_in_the_middle_of_a_pause():
    spoken = [*words("this is one sentence here."), *words("and then", start=3.0)]
    assert cut_time(0.0, LONGER, spoken, []) == 2.5


def test_without_a_sentence_it_is_cut_only_when_it_gets_long():
    spoken = words("this goes on and on and on and on and on and on")
    assert cut_time(0.0, LONGER, spoken, []) is None
    assert cut_time(0.0, LONG, spoken, []) is not None


def test_long_audio_is_cut_at_its_longest_pause():
    spoken = [*words("this goes on and on and"), *words("on and on", start=3.0), *words("and on", start=4.3)]
    assert cut_time(0.0, LONG, spoken, words("and", start=5.1)) == 2.7


def test_a_cut_leaves_nothing_that_is_not_confirmed_before_it():
    spoken, tentative = words("One two three four five six."), words("Seven.", start=2.6)
    assert cut_time(0.0, LONGER, spoken, tentative) <= tentative[0].start


def test_what_follows_the_last_word_is_kept_because_a_word_may_begin_in_it():
    spoken = words("One two three four five six.")
    assert cut_time(0.0, LONGER, spoken, []) == spoken[-1].end


def test_full_audio_without_words_is_cut_all_the_same():
    assert cut_time(0.0, 11.5, [], []) == 10.0
