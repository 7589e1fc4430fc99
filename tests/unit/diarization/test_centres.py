"""What all voices have in common is subtracted, for telephones apart."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from benchmarks.diarization.conversations import Samples, mobile, telephone
from tests.support.observations import TELEPHONE, WIDE, voice, window
from tests.unit.diarization.conftest import Spoken
from transcription.core.audio import INT16_SCALE
from transcription.core.speakers import SpeakerOptions
from transcription.diarization.centres import centred, centres, is_telephone, less
from transcription.diarization.diarizer import Diarizer
from transcription.diarization.observations import VOICE_NUMBERS, observe
from transcription.diarization.sessions import OnnxSpeakerModels
from transcription.diarization.windows import WindowCutter


@pytest.mark.parametrize(("band_gap", "row"), [(WIDE, 0), (TELEPHONE, 1)])
def test_two_people_are_told_apart_by_what_is_their_own(band_gap: float, row: int) -> None:
    common = centres()[row]
    alike = [common + 0.7 * voice(person) for person in (0, 1)]
    first, second = (each / np.linalg.norm(each) for each in alike)
    [found] = centred([window((0, 2.0, first), (1, 2.0, second), band_gap=band_gap)])
    assert np.linalg.norm(found.voices, axis=1) == pytest.approx([1, 1], abs=1e-5)
    assert found.voices[0] @ found.voices[1] < first @ second - 0.2


def test_a_piece_without_a_voice_has_none_afterwards() -> None:
    assert not less(np.zeros((1, VOICE_NUMBERS), np.float32), centres()[0]).any()


@pytest.mark.parametrize("line", [telephone, mobile])
def test_two_people_on_a_telephone_are_two_speakers(
    models: OnnxSpeakerModels, two_speakers: Spoken, line: Callable[[Samples], Samples]
) -> None:
    heard = (line(two_speakers.samples.astype(np.float32) / INT16_SCALE) * INT16_SCALE).astype(np.int16)
    assert is_telephone([observe(window, models) for window in WindowCutter().feed(heard)])
    assert not is_telephone([observe(window, models) for window in WindowCutter().feed(two_speakers.samples)])
    diarizer = Diarizer(models, SpeakerOptions())
    diarizer.feed(heard)
    assert {turn.speaker for turn in diarizer.finish().turns} == {0, 1}
