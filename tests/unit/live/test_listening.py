"""From audio to utterances."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from tests.support.hypotheses import segment
from transcription.core.options import DecodeOptions
from transcription.core.transcript import Word
from transcription.live.listening import Listening
from transcription.live.options import LiveOptions, TurnDetection
from transcription.live.turns import Started, Turn
from transcription.media.voice_activity import CHUNK_SAMPLES


def hear(listening: Listening, probability: float, chunks: int) -> list[Turn]:
    """So much sound, in all of which a voice is so probable."""
    listening.append(np.zeros(chunks * CHUNK_SAMPLES, np.int16))
    return listening.hear([probability] * chunks)


def test_the_number_of_a_cleared_utterance_is_not_used_again() -> None:
    listening = Listening(LiveOptions(DecodeOptions("base"), turn_detection=None))
    listening.append(np.zeros(1600, np.int16))
    assert listening.clear() == 0
    listening.append(np.zeros(1600, np.int16))
    assert listening.end(listening.audio.end)[0].number == 1


def test_where_nothing_is_spoken_nothing_is_cleared() -> None:
    listening = Listening(LiveOptions(DecodeOptions("base"), turn_detection=None))
    listening.clear()
    listening.append(np.zeros(1600, np.int16))
    assert listening.end(listening.audio.end)[0].number == 0


def test_in_a_pause_the_likely_end_is_that_of_the_utterance_if_the_pause_lasts() -> None:
    listening = Listening(LiveOptions(DecodeOptions("base")))
    [started] = hear(listening, 0.9, 10)
    listening.start(started)
    assert listening.likely_end is None
    hear(listening, 0.0, 5)
    assert listening.likely_end is None
    hear(listening, 0.0, 5)
    likely = listening.likely_end
    [stopped] = hear(listening, 0.0, 6)
    assert listening.end(stopped.at)[1] == likely
    assert listening.likely_end is None


def test_an_update_in_a_pause_keeps_what_was_said_before_it() -> None:
    """The client commits; its last words are confirmed, and their audio is no longer kept."""
    options = LiveOptions(DecodeOptions("base"), turn_detection=None)
    listening = Listening(options)
    listening.append(np.zeros(1600, np.int16))
    utterance = listening.current
    assert utterance
    utterance.hear([segment([Word(" said", 0.0, 0.05, 0.9)])], 0, 1600, certain=True, complete=True)
    listening.update(replace(options, words=True))
    assert listening.current is utterance


def test_an_update_in_a_pause_keeps_the_utterance_that_a_voice_has_started() -> None:
    options = LiveOptions(DecodeOptions("base"))
    listening = Listening(options)
    listening.append(np.zeros(1600, np.int16))
    utterance = listening.start(Started(0))
    listening.update(replace(options, words=True))
    assert listening.current is utterance


def test_an_update_before_anything_is_said_counts_at_once() -> None:
    options = LiveOptions(DecodeOptions("base"), turn_detection=None)
    listening = Listening(options)
    listening.append(np.zeros(1600, np.int16))
    listening.update(replace(options, words=True))
    listening.append(np.zeros(1600, np.int16))
    assert listening.current
    assert listening.current.options.words


def test_another_threshold_counts_from_the_next_utterance_on() -> None:
    options = LiveOptions(DecodeOptions("base"), TurnDetection(threshold=0.5))
    listening = Listening(options)
    [started] = hear(listening, 0.9, 10)
    listening.start(started)
    listening.update(replace(options, turn_detection=TurnDetection(threshold=0.8)))
    hear(listening, 0.6, 10)
    assert listening.voice_end == 20 * CHUNK_SAMPLES


def test_an_utterance_that_the_client_was_to_end_is_ended_by_a_pause_once_the_service_finds_the_turns() -> None:
    options = LiveOptions(DecodeOptions("base"), turn_detection=None)
    listening = Listening(options)
    hear(listening, 0.9, 10)
    utterance = listening.current
    assert hear(listening, 0.0, 40) == []
    listening.update(replace(options, turn_detection=TurnDetection()))
    assert listening.current is utterance
    [stopped] = hear(listening, 0.0, 20)
    listening.end(stopped.at)
    [started] = hear(listening, 0.9, 5)
    assert listening.start(started).number == 1


def test_the_client_may_take_the_turns_back_before_a_pause_has_ended_them() -> None:
    options = LiveOptions(DecodeOptions("base"), turn_detection=None)
    listening = Listening(options)
    hear(listening, 0.9, 10)
    listening.update(replace(options, turn_detection=TurnDetection()))
    listening.update(options)
    assert hear(listening, 0.0, 100) == []
