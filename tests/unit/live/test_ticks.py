"""When an utterance is decoded while it goes on."""

from dataclasses import replace

from transcription.live.ticks import Moment, is_due

SPEAKING = Moment(audio=3.0, fresh=1.0, voiced=True, silence=0.0, paused=False, since=1.0)


def due(moment=SPEAKING, *, ends_soon=True, **changes):
    return is_due(replace(moment, **changes), 1.0, ends_soon=ends_soon)


def test_after_the_interval_it_is_decoded():
    assert due()
    assert not due(since=0.9)


def test_nothing_is_decoded_in_silence():
    assert not due(voiced=False)
    assert not due(silence=5.0)


def test_nothing_is_decoded_without_new_audio():
    assert not due(fresh=0.1)


def test_a_syllable_is_too_little_for_a_first_decode():
    assert not due(audio=0.3, fresh=0.3, since=9.0)


def test_a_pause_that_does_not_end_the_utterance_is_decoded_once():
    assert due(silence=0.5, since=0.0, ends_soon=False)
    assert not due(silence=0.5, paused=True, ends_soon=False)


def test_audio_that_has_to_be_cut_is_decoded_before_the_interval_is_over():
    assert due(audio=11.0, since=0.1)
    assert not due(audio=11.0, since=0.1, waiting=True)
