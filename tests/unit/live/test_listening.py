"""From audio to utterances."""

from __future__ import annotations

import numpy as np

from transcription.core.options import DecodeOptions
from transcription.live.listening import Listening
from transcription.live.options import LiveOptions


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
