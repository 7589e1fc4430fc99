"""Where utterances start and end. Probabilities are one a chunk of 32 ms."""

import pytest

from transcription.live.options import TurnDetection
from transcription.live.turns import Started, Stopped, Turns
from transcription.media.voice_activity import CHUNK_SAMPLES

VOICE, SILENCE = 0.9, 0.05
HALF_A_SECOND = 16  # chunks


def turns(silence_ms=500, padding=0):
    return Turns(TurnDetection(prefix_padding_ms=padding, silence_ms=silence_ms))


def test_a_voice_starts_an_utterance_and_a_pause_ends_it():
    found = turns().add(0, [SILENCE] * 5 + [VOICE] * 20 + [SILENCE] * HALF_A_SECOND)
    assert found == [Started(5 * CHUNK_SAMPLES), Stopped(25 * CHUNK_SAMPLES)]


def test_a_click_starts_nothing():
    assert turns().add(0, [SILENCE, VOICE, VOICE, SILENCE, SILENCE]) == []


def test_a_short_pause_ends_nothing():
    assert turns().add(0, [VOICE] * 5 + [SILENCE] * (HALF_A_SECOND - 1) + [VOICE]) == [Started(0)]


def test_the_padding_is_before_the_voice_and_never_before_the_session():
    assert turns(padding=64).add(0, [SILENCE] * 5 + [VOICE] * 3) == [Started(3 * CHUNK_SAMPLES)]
    assert turns(padding=640).add(0, [SILENCE] * 5 + [VOICE] * 3) == [Started(0)]


def test_chunks_may_arrive_one_by_one():
    probabilities = [SILENCE] * 3 + [VOICE] * 9 + [SILENCE] * HALF_A_SECOND
    at_once = turns().add(0, probabilities)
    one_by_one, follower = [], turns()
    for index, probability in enumerate(probabilities):
        one_by_one += follower.add(index * CHUNK_SAMPLES, [probability])
    assert one_by_one == at_once


def test_a_voice_lasts_while_its_probability_is_a_little_below_the_threshold():
    assert turns().add(0, [VOICE] * 3 + [0.4] * 2 * HALF_A_SECOND) == [Started(0)]


def test_a_voice_that_goes_on_after_a_commit_starts_the_next_utterance():
    follower = turns()
    follower.add(0, [VOICE] * 5)
    follower.stop()
    assert follower.add(5 * CHUNK_SAMPLES, [VOICE] * 5) == [Started(5 * CHUNK_SAMPLES)]


def test_a_pause_is_as_long_as_it_has_lasted():
    follower = turns()
    follower.add(0, [VOICE] * 5)
    assert follower.silent == 0
    follower.add(5 * CHUNK_SAMPLES, [SILENCE] * 4)
    assert follower.silent == 4 * CHUNK_SAMPLES
    follower.add(9 * CHUNK_SAMPLES, [VOICE])
    assert follower.silent == 0


@pytest.mark.parametrize("silence_ms", [200, 1000])
def test_the_pause_that_ends_an_utterance_is_as_long_as_asked_for(silence_ms):
    needed = -(-silence_ms * 16 // CHUNK_SAMPLES)
    follower = turns(silence_ms)
    follower.add(0, [VOICE] * 3)
    assert follower.add(0, [SILENCE] * (needed - 1)) == []
    assert follower.add(0, [SILENCE]) != []
