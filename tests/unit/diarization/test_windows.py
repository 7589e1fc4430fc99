"""Windows of the sound, whatever the blocks that it comes in."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from transcription.core.audio import SAMPLE_RATE
from transcription.diarization.powerset import FRAME_SHIFT, WINDOW_SAMPLES, frames_in
from transcription.diarization.windows import HOP_SAMPLES, SoundWindow, WindowCutter


def sound(length: int) -> np.ndarray:
    return (np.arange(length) % 30_011).astype(np.int16)


def windows_of(samples: np.ndarray, blocks: list[int]) -> list[SoundWindow]:
    """Fed in blocks of these lengths, the last one again and again."""
    cutter, found, at = WindowCutter(), [], 0
    lengths = iter(blocks)
    length = next(lengths)
    while at < len(samples):
        found.extend(cutter.feed(samples[at : at + length]))
        at, length = at + length, next(lengths, length)
    return [*found, *cutter.finish()]


durations = st.integers(1, 40 * SAMPLE_RATE)


@given(durations, st.lists(st.integers(1, 15 * SAMPLE_RATE), max_size=4))
def test_blocks_make_no_difference(length: int, blocks: list[int]) -> None:
    samples = sound(length)
    whole, pieces = windows_of(samples, [length]), windows_of(samples, [*blocks, 5 * SAMPLE_RATE])
    assert [(each.first_frame, each.samples.tobytes()) for each in whole] == [
        (each.first_frame, each.samples.tobytes()) for each in pieces
    ]


@given(durations)
def test_a_window_has_the_samples_of_its_place_in_the_file(length: int) -> None:
    samples = sound(length)
    for window in windows_of(samples, [length]):
        start = window.first_frame * FRAME_SHIFT
        assert (window.samples == samples[start : start + len(window.samples)]).all()
        assert len(window.samples) <= WINDOW_SAMPLES


@given(durations)
def test_windows_reach_to_the_end_of_the_file(length: int) -> None:
    last = windows_of(sound(length), [length])[-1]
    assert last.first_frame * FRAME_SHIFT + len(last.samples) == length


@given(durations)
def test_every_frame_is_in_one_core(length: int) -> None:
    windows = windows_of(sound(length), [length])
    cores = [(each.first_frame + each.core_start, each.first_frame + each.core_end) for each in windows]
    assert cores[0][0] == 0
    assert all(before[1] == after[0] for before, after in pairwise(cores))
    assert windows[-1].core_end == frames_in(len(windows[-1].samples))


def test_windows_are_five_seconds_apart() -> None:
    windows = windows_of(sound(30 * SAMPLE_RATE), [SAMPLE_RATE])
    starts = [each.first_frame * FRAME_SHIFT for each in windows]
    assert {after - before for before, after in pairwise(starts[:-1])} == {HOP_SAMPLES}


def test_no_sound_has_no_windows() -> None:
    assert list(WindowCutter().finish()) == []
