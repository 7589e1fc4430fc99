"""Tells speakers apart while the sound streams in."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from transcription.core.speakers import SpeakerOptions, Turn
from transcription.diarization.centres import centred
from transcription.diarization.known import names_of
from transcription.diarization.observations import Observation, observe
from transcription.diarization.people import people_in, people_of_pieces, voices_of
from transcription.diarization.sessions import SpeakerModels
from transcription.diarization.turns import order_of_appearance, turns_of
from transcription.diarization.windows import SoundWindow, WindowCutter


@dataclass(frozen=True, slots=True, eq=False)
class Diarization:
    """Who spoke when.

    turns: ordered by start; speakers are numbered by first appearance. names: of each speaker, None for an unknown one.
    voices: of each speaker, of length 1, shape (speakers, 192).
    """

    turns: tuple[Turn, ...]
    names: tuple[str | None, ...]
    voices: NDArray[np.float32]


class Diarizer:
    """One recording. Each call of `feed` runs the models on the windows that it completes: 0.1 s of CPU time each.

    Keeps 15 s of sound, and about 1 KB for each second of the recording. Not for several threads at once.
    """

    def __init__(self, models: SpeakerModels, options: SpeakerOptions, known: Sequence[Observation] = ()) -> None:
        """known: observations of an earlier run on the same recording, from its first window on."""
        self._models = models
        self._options = options
        self._cutter = WindowCutter()
        self._known = deque(known)
        self._seen: list[Observation] = []

    def feed(self, samples: NDArray[np.int16]) -> None:
        """More of the recording. samples: shape (n,), 16 kHz mono."""
        self._seen.extend(self._observed(window) for window in self._cutter.feed(samples))

    def seen(self, first: int) -> list[Observation]:
        """The observations so far, from this window on. May be called while another thread is in `feed`."""
        return self._seen[first:]

    def _observed(self, window: SoundWindow) -> Observation:
        if self._known and self._known[0].first_frame == window.first_frame:
            return self._known.popleft()
        self._known.clear()
        return observe(window, self._models)

    def finish(self) -> Diarization:
        """The result. To be called once, after the last `feed`."""
        self._seen.extend(observe(window, self._models) for window in self._cutter.finish())
        comparable = centred(self._seen)
        people = people_in(comparable, self._options)
        owners = [people_of_pieces(window, people) for window in comparable]
        voices = voices_of(self._seen, owners, len(people))
        names = names_of(voices, self._options.known)
        turns = turns_of(self._seen, owners, len(people))
        order = order_of_appearance(turns)
        return Diarization(
            tuple(replace(turn, speaker=order.index(turn.speaker)) for turn in turns),
            tuple(names[person] for person in order),
            voices[order],
        )
