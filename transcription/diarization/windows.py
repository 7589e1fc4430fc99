"""Cuts a stream of samples into overlapping windows for the segmentation model."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from transcription.diarization.powerset import FRAME_SHIFT, WINDOW_SAMPLES, frames_in

HOP_FRAMES = 296  # 5.0 s: every moment is in two windows. A whole number, so that windows share one grid of frames
HOP_SAMPLES = HOP_FRAMES * FRAME_SHIFT


@dataclass(frozen=True, slots=True)
class SoundWindow:
    """A stretch of sound, and its core: its middle, up to where that of the next window begins.

    first_frame: among the file's frames, which are 270 samples apart. samples: int16, shape (n,). core_start, core_end:
    frames of the window.
    """

    first_frame: int
    samples: NDArray[np.int16]
    core_start: int
    core_end: int


class WindowCutter:
    """Keeps at most a window and a hop of samples, besides the block that it is fed."""

    def __init__(self) -> None:
        self._held = np.empty(0, np.int16)
        self._held_from = 0  # sample of the file, a multiple of FRAME_SHIFT
        self._next = 0  # where the next window starts
        self._core_end = 0  # frame of the file where the last window's core ends

    def feed(self, samples: NDArray[np.int16]) -> Iterator[SoundWindow]:
        """The windows of 10 s after which the sound goes on."""
        self._held = np.concatenate((self._held, samples))
        while self._end - self._next > WINDOW_SAMPLES:
            yield self._window(self._next)
            # Kept from this window on, not from the next: the last one of the file starts in between.
            self._held = self._held[self._next - self._held_from :]
            self._held_from, self._next = self._next, self._next + HOP_SAMPLES

    def finish(self) -> Iterator[SoundWindow]:
        """The window at the end of the file: its last 10 s, or all of it if it is shorter; none without sound."""
        if self._end:
            start = max(0, self._end - WINDOW_SAMPLES)
            yield self._window(-(-start // FRAME_SHIFT) * FRAME_SHIFT, is_last=True)

    @property
    def _end(self) -> int:
        return self._held_from + len(self._held)

    def _window(self, start: int, *, is_last: bool = False) -> SoundWindow:
        offset = start - self._held_from
        samples = self._held[offset : offset + WINDOW_SAMPLES].copy()
        frames = frames_in(len(samples))
        first = start // FRAME_SHIFT
        core_start, core_end = self._core_end - first, frames if is_last else (frames + HOP_FRAMES) // 2
        self._core_end = first + core_end
        return SoundWindow(first, samples, core_start, core_end)
