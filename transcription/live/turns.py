"""Where utterances start and end, from the probabilities of speech. Decides only: no clock, no audio."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from transcription.core.audio import SAMPLE_RATE
from transcription.live.options import TurnDetection
from transcription.media.voice_activity import CHUNK_SAMPLES, HYSTERESIS, LEAST_RELEASE

LEAST_CHUNKS = 3  # 96 ms of voice start an utterance: a click fills a chunk or two


@dataclass(frozen=True, slots=True)
class Started:
    """An utterance starts. at: its first sample, padding included."""

    at: int


@dataclass(frozen=True, slots=True)
class Stopped:
    """The utterance ends. at: the sample after the voice."""

    at: int


Turn = Started | Stopped


class Turns:
    """Follows the probabilities of one session.

    A voice starts at `threshold`, and lasts while the probability is less than HYSTERESIS below it.

    speaking: whether an utterance has begun that the next pause ends.
    """

    def __init__(self, detection: TurnDetection, *, speaking: bool = False) -> None:
        self._detection = detection
        self._release = max(detection.threshold - HYSTERESIS, LEAST_RELEASE)
        self._speaking = speaking
        self._voiced = 0  # chunks of voice in a row, between utterances
        self._silent = 0  # chunks without voice in a row, while someone speaks

    @property
    def speaking(self) -> bool:
        """Whether an utterance is going on."""
        return self._speaking

    @property
    def silent(self) -> int:
        """Samples since the voice in an utterance; 0 while it lasts, and between utterances."""
        return self._silent * CHUNK_SAMPLES

    def add(self, position: int, probabilities: Sequence[float]) -> list[Turn]:
        """What begins and ends in the next chunks. position: sample at which the first of them starts."""
        found: list[Turn] = []
        for index, probability in enumerate(probabilities):
            start = position + index * CHUNK_SAMPLES
            turn = self._in_speech(start, probability) if self._speaking else self._in_silence(start, probability)
            if turn:
                found.append(turn)
        return found

    def stop(self) -> None:
        """The utterance was ended from outside; the voice that goes on, if any, starts another one."""
        self._speaking, self._voiced, self._silent = False, 0, 0

    def _in_silence(self, start: int, probability: float) -> Turn | None:
        if probability < (self._detection.threshold if not self._voiced else self._release):
            self._voiced = 0
            return None
        self._voiced += 1
        if self._voiced < LEAST_CHUNKS:
            return None
        self._speaking, self._silent = True, 0
        padding = self._detection.prefix_padding_ms * SAMPLE_RATE // 1000
        return Started(max(0, start - (LEAST_CHUNKS - 1) * CHUNK_SAMPLES - padding))

    def _in_speech(self, start: int, probability: float) -> Turn | None:
        if probability >= self._release:
            self._silent = 0
            return None
        self._silent += 1
        if self._silent * CHUNK_SAMPLES < self._detection.silence_ms * SAMPLE_RATE // 1000:
            return None
        voice_end = start - (self._silent - 1) * CHUNK_SAMPLES
        self.stop()
        return Stopped(voice_end)
