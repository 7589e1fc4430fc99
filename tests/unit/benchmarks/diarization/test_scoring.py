"""Diarization error rate."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.diarization.conversations import Conversation, Stretch
from benchmarks.diarization.scoring import score
from transcription.core.audio import SAMPLE_RATE

TALK = Conversation("talk", np.zeros(20 * SAMPLE_RATE, np.int16), (Stretch(0, 10, "Ann"), Stretch(8, 18, "Bo")))


def test_the_names_of_speakers_do_not_matter() -> None:
    found = score(TALK, [Stretch(0, 10, "1"), Stretch(8, 18, "0")])
    assert (found.errors[0.0].rate, found.speakers_off) == (0.0, 0)


def test_overlap_counts_for_each_who_speaks() -> None:
    found = score(TALK, [Stretch(0, 10, "0"), Stretch(10, 18, "1")])
    assert found.errors[0.0].missed == pytest.approx(2.0)
    assert found.errors[0.0].total == pytest.approx(20.0)


def test_speech_of_another_is_confused() -> None:
    found = score(TALK, [Stretch(0, 18, "0")])
    assert found.errors[0.0].confused == pytest.approx(8.0)
    assert found.speakers_off == -1


def test_a_collar_forgives_a_quarter_second_on_either_side() -> None:
    found = score(TALK, [Stretch(0.24, 10.24, "0"), Stretch(7.76, 17.76, "1")])
    assert found.errors[0.0].rate > 0.04
    assert found.errors[0.25].rate == 0.0


def test_nothing_found_is_all_missed() -> None:
    assert score(TALK, []).errors[0.0].rate == 1.0
