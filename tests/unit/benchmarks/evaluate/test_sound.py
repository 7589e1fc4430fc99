"""The times of an utterance without the silence of its clip."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.evaluate.references import Spoken
from benchmarks.evaluate.sound import to_sound
from transcription.core.audio import SAMPLE_RATE


def recording(voice: tuple[float, float], noise: float = 0.0) -> np.ndarray:
    """Four seconds with a tone in it, over noise of an amplitude."""
    samples = np.random.default_rng(0).normal(0, noise, 4 * SAMPLE_RATE) if noise else np.zeros(4 * SAMPLE_RATE)
    start, end = (round(time * SAMPLE_RATE) for time in voice)
    samples[start:end] += 0.5 * np.sin(np.arange(end - start) * 0.2)
    return samples.astype(np.float32)


@pytest.mark.parametrize("noise", [0.0, 0.005, 0.03])
def test_silence_at_the_ends_of_a_clip_is_no_part_of_the_utterance(noise: float) -> None:
    [heard] = to_sound([Spoken(1.0, 3.0, "six")], recording((1.42, 2.58), noise))
    assert (heard.start, heard.end) == pytest.approx((1.42, 2.58), abs=0.03)
    assert heard.text == "six"


def test_a_click_before_the_utterance_is_no_part_of_it() -> None:
    samples = recording((1.42, 2.58)) + recording((1.1, 1.11))
    [heard] = to_sound([Spoken(1.0, 3.0, "six")], samples)
    assert heard.start == pytest.approx(1.42, abs=0.03)


def test_a_pause_inside_an_utterance_stays() -> None:
    samples = recording((1.2, 1.5)) + recording((2.5, 2.8))
    [heard] = to_sound([Spoken(1.0, 3.0, "six eight")], samples)
    assert (heard.start, heard.end) == pytest.approx((1.2, 2.8), abs=0.03)


@pytest.mark.parametrize("times", [(3.0, 4.0), (1.5, 1.51), (5.0, 6.0)], ids=["silent", "short", "outside"])
def test_where_nothing_is_heard_the_times_stay(times: tuple[float, float]) -> None:
    spoken = Spoken(*times, "six")
    assert to_sound([spoken], recording((1.4, 2.6))) == (spoken,)
