"""Which words of successive hypotheses are confirmed."""

from hypothesis import given
from hypothesis import strategies as st

from tests.support.hypotheses import texts, words
from transcription.live.agreement import after_confirmed, confirmable

END = 2.0  # of the audio, less than LATEST_SECONDS after every word


def confirmed(now, before, end=END):
    return texts(now[: confirmable(now, before, end)])


def test_a_first_hypothesis_confirms_nothing_that_the_model_is_not_sure_of():
    assert confirmed(words("take the meat"), []) == ""


def test_the_words_on_which_two_hypotheses_agree_are_confirmed():
    assert confirmed(words("take the meat out"), words("take the mead")) == "take the"


def test_case_and_punctuation_do_not_matter():
    assert confirmed(words("Take the meat, out"), words("take the meat.")) == "Take the meat,"


def test_a_word_that_the_model_is_sure_of_is_confirmed_if_the_audio_goes_on_after_it():
    assert confirmed(words("take the", probability=0.99), [], end=1.2) == "take the"


def test_a_word_at_the_end_of_the_audio_waits_however_sure_the_model_is():
    assert confirmed(words("take the", probability=0.99), [], end=1.0) == "take"


def test_a_sure_word_after_an_unsure_one_waits_with_it():
    doubtful, sure = words("mead"), words("out of", start=0.4, probability=0.99)
    assert confirmed([*doubtful, *sure], []) == ""


def test_what_was_said_three_seconds_ago_is_confirmed_without_agreement():
    assert confirmed(words("take the meat out"), words("make a feed"), end=4.0) == "take the"


def test_what_is_confirmed_is_not_new_in_the_next_hypothesis():
    assert texts(after_confirmed(words("take the meat out"), words("take the"))) == "meat out"


def test_a_hypothesis_that_has_other_words_for_what_is_confirmed_continues_after_them():
    assert texts(after_confirmed(words("make the meat out"), words("take the"))) == "meat out"


def test_the_time_tells_which_of_several_equal_words_was_confirmed():
    assert texts(after_confirmed(words("no no no no"), words("no no"))) == "no no"


def test_a_hypothesis_of_less_than_what_is_confirmed_has_nothing_new():
    assert after_confirmed(words("take"), words("take the meat")) == []


def test_without_confirmed_words_the_whole_hypothesis_is_new():
    assert texts(after_confirmed(words("take the"), [])) == "take the"


TEXTS = st.lists(st.sampled_from(["no", "yes", "take", "the"]), max_size=6).map(" ".join)


@given(TEXTS, TEXTS, st.floats(0, 10))
def test_at_most_the_whole_hypothesis_is_confirmed(now, before, end):
    spoken = words(now)
    assert 0 <= confirmable(spoken, words(before), end) <= len(spoken)


@given(TEXTS, TEXTS)
def test_what_follows_is_an_end_of_the_hypothesis(hypothesis, before):
    spoken = words(hypothesis)
    rest = after_confirmed(spoken, words(before))
    assert list(rest) == spoken[len(spoken) - len(rest) :]
