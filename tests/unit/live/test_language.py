"""The language of a session is detected until it is certain, then kept."""

from transcription.core.options import DecodeOptions
from transcription.live.language import LanguageLock


def lock(language=None):
    return LanguageLock(DecodeOptions("base", language=language))


def test_a_language_that_was_named_is_certain():
    named = lock("de")
    assert named.learn("en", 0.9, 5.0, last=False)
    assert named.language == "de"


def test_a_certain_detection_is_kept():
    detected = lock()
    assert detected.learn("de", 0.9, 3.0, last=False)
    detected.learn("en", 0.99, 9.0, last=True)
    assert detected.language == "de"


def test_a_syllable_decides_nothing():
    detected = lock()
    detected.learn("de", 0.99, 0.8, last=False)
    assert detected.language is None


def test_text_in_a_doubtful_language_is_not_to_be_confirmed():
    assert not lock().learn("de", 0.4, 3.0, last=False)


def test_the_decode_of_a_whole_utterance_needs_less_certainty():
    detected = lock()
    detected.learn("de", 0.6, 3.0, last=False)
    assert detected.language is None
    detected.learn("de", 0.6, 3.0, last=True)
    assert detected.language == "de"
