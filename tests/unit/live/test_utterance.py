"""The text of an utterance as it grows."""

from hypothesis import given
from hypothesis import strategies as st

from tests.support.hypotheses import segment, words
from transcription.core.audio import SAMPLE_RATE
from transcription.core.options import DecodeOptions
from transcription.live.cutting import SHORT_SECONDS
from transcription.live.language import LanguageLock
from transcription.live.options import LiveOptions
from transcription.live.utterance import Utterance


def utterance(**options):
    decode = DecodeOptions("base")
    return Utterance(0, 0, LiveOptions(decode, **options), LanguageLock(decode))


def hear(spoken_so_far, text, seconds, *, certain=True, complete=False, start=0.0):
    segments = [segment(words(text, start))] if text else []
    end = round(seconds * SAMPLE_RATE)
    return spoken_so_far.hear(segments, spoken_so_far.base, end, certain=certain, complete=complete)


def test_the_first_hypothesis_is_tentative():
    partial = hear(utterance(), "take the meat", 1.2)
    assert (partial.confirmed, partial.tentative) == ("", "take the meat")


def test_the_second_confirms_what_both_have():
    spoken = utterance()
    hear(spoken, "take the mead", 1.2)
    partial = hear(spoken, "take the meat out", 1.6)
    assert (partial.confirmed, partial.tentative) == ("take the", " meat out")
    assert [word.text for word in partial.words] == [" take", " the"]


def test_a_hypothesis_without_news_gives_no_event():
    spoken = utterance()
    hear(spoken, "take the", 1.2)
    hear(spoken, "take the", 1.4)
    assert hear(spoken, "take the", 1.6) is None


def test_in_an_uncertain_language_nothing_is_confirmed():
    spoken = utterance()
    hear(spoken, "take the", 1.2, certain=False)
    assert hear(spoken, "take the", 1.4, certain=False) is None
    assert spoken.confirmed == ""


def test_a_doubtful_decode_without_text_takes_nothing_back():
    spoken = utterance()
    hear(spoken, "take the", 1.2)
    assert hear(spoken, "", 1.4) is None
    assert spoken.tentative == "take the"


def test_a_pause_confirms_everything_before_it():
    partial = hear(utterance(), "take the meat", 1.7, complete=True)
    assert (partial.confirmed, partial.tentative) == ("take the meat", "")


def test_the_last_decode_cannot_take_back_what_is_confirmed():
    spoken = utterance()
    hear(spoken, "take the mead", 1.2)
    hear(spoken, "take the mead", 1.6)
    partial = spoken.finish([segment(words("make a meat out of"))])
    assert partial.confirmed == " out of"
    assert spoken.final(SAMPLE_RATE * 3).text == "take the mead out of"


def test_a_final_text_has_segments_with_times_and_words_only_if_they_are_wanted():
    for wanted in (True, False):
        spoken = utterance(words=wanted)
        spoken.finish([segment(words("Take the meat. Then eat."))])
        final = spoken.final(SAMPLE_RATE * 3)
        assert [each.text for each in final.segments] == [" Take the meat.", " Then eat."]
        assert (final.segments[1].start, final.segments[1].end) == (words("a b c d")[3].start, 2.0)
        assert bool(final.words) is wanted


def test_an_utterance_without_text_has_no_language():
    spoken = utterance()
    spoken.language = "nn"
    final = spoken.final(SAMPLE_RATE)
    assert (final.text, final.language, final.segments) == ("", "und", ())


def test_the_audio_of_a_confirmed_sentence_is_let_go():
    spoken = utterance()
    text = "this is one long sentence that has an end. and the next one begins here"
    hear(spoken, text, SHORT_SECONDS + 0.4)
    hear(spoken, text, SHORT_SECONDS + 0.8)
    assert spoken.base == round(words(text)[8].end * SAMPLE_RATE)


def test_a_hypothesis_of_audio_that_was_cut_off_meanwhile_repeats_nothing():
    spoken = utterance()
    text = "this is one long sentence that has an end. and the next one begins here"
    hear(spoken, text, SHORT_SECONDS + 0.4)
    assert spoken.base > 0
    spoken.hear([segment(words(f"{text} again"))], 0, round((SHORT_SECONDS + 0.8) * SAMPLE_RATE), certain=True)
    assert spoken.confirmed + spoken.tentative == f"{text} again"


def test_the_audio_stays_while_the_last_decode_needs_it():
    spoken = utterance()
    text = "this is one long sentence that has an end. and the next one begins here"
    for seconds in (SHORT_SECONDS + 0.4, SHORT_SECONDS + 0.8):
        spoken.hear([segment(words(text))], 0, round(seconds * SAMPLE_RATE), certain=True, cuts=False)
    assert spoken.confirmed
    assert spoken.base == 0


def test_a_word_that_is_heard_again_after_a_cut_is_not_confirmed_twice():
    spoken = utterance()
    hear(spoken, "take the meat", 1.6, complete=True)
    spoken.base = round(1.2 * SAMPLE_RATE)
    partial = hear(spoken, "meat out", 2.2, start=1.2, complete=True)
    assert partial.confirmed == " out"


def test_full_audio_without_words_is_decoded_once_more_before_it_is_given_up():
    spoken = utterance()
    hear(spoken, "", 11.5)
    assert (spoken.fruitless, spoken.base) == (1, 0)
    hear(spoken, "", 11.5)
    assert (spoken.fruitless, spoken.base) == (0, round(10.0 * SAMPLE_RATE))


HEARD = st.lists(st.sampled_from(["take", "the", "meat.", "out", "of"]), max_size=40).map(" ".join)


@given(st.lists(st.tuples(HEARD, st.booleans(), st.booleans()), max_size=12), HEARD)
def test_what_is_confirmed_joined_is_the_final_text(hypotheses, last):
    spoken = utterance()
    parts = []
    for number, (text, certain, complete) in enumerate(hypotheses, start=1):
        if partial := hear(spoken, text, float(number), certain=certain, complete=complete):
            parts.append(partial.confirmed)
    if partial := spoken.finish([segment(words(last))] if last else []):
        parts.append(partial.confirmed)
    assert "".join(parts) == spoken.final(SAMPLE_RATE * 20).text
