"""People whose voices are given: from a sample of each to names for those who are found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from transcription.core.audio import SAMPLE_RATE
from transcription.core.errors import InvalidParameter
from transcription.core.speakers import KnownSpeaker
from transcription.diarization.observations import VOICE_NUMBERS, observe
from transcription.diarization.sessions import SpeakerModels
from transcription.diarization.windows import WindowCutter

SHORTEST_SAMPLE = 2.0  # seconds
LONGEST_SAMPLE = 10.0  # seconds
LEAST_SPEECH = 1.0  # seconds of one person alone in a sample
ALIKE = 0.65  # cosine similarity of a sample and the voice in a recording from which they are one person

PARAMETER = "known_speaker_references"


@dataclass(frozen=True, slots=True, eq=False)
class KnownVoices:
    """names, and the voice of each, of length 1, shape (names, 192)."""

    names: tuple[str, ...]
    voices: NDArray[np.float32]

    def names_of(self, people: NDArray[np.float32]) -> list[str | None]:
        """A name for each voice in `people`, shape (n, 192), None for unknown ones; no name twice.

        The most similar pair comes first.
        """
        found: list[str | None] = [None] * len(people)
        similar = people @ self.voices.T
        while similar.size and similar.max() >= ALIKE:
            person, known = np.unravel_index(int(similar.argmax()), similar.shape)
            found[int(person)] = self.names[int(known)]
            similar[person], similar[:, known] = -1.0, -1.0
        return found


def known_voices(known: Sequence[KnownSpeaker], models: SpeakerModels) -> KnownVoices:
    """The voices in the samples. Raises InvalidParameter on a sample of the wrong length or with too little speech."""
    voices = [_voice(each, models) for each in known]
    return KnownVoices(tuple(each.name for each in known), np.reshape(voices, (-1, VOICE_NUMBERS)).astype(np.float32))


def _voice(speaker: KnownSpeaker, models: SpeakerModels) -> NDArray[np.float32]:
    length = len(speaker.samples) / SAMPLE_RATE
    if not SHORTEST_SAMPLE <= length <= LONGEST_SAMPLE:
        raise InvalidParameter(
            f"The sample of '{speaker.name}' is {length:.1f} s long. Send {SHORTEST_SAMPLE:g} to {LONGEST_SAMPLE:g} s "
            "of this person alone.",
            parameter=PARAMETER,
        )
    cutter = WindowCutter()
    seen = [observe(window, models) for window in (*cutter.feed(speaker.samples), *cutter.finish())]
    seconds = np.concatenate([each.seconds * each.voices.any(axis=1) for each in seen])
    if seconds.sum() < LEAST_SPEECH:
        raise InvalidParameter(
            f"The sample of '{speaker.name}' has {seconds.sum():.1f} s of speech. Send at least {LEAST_SPEECH:g} s of "
            "this person alone.",
            parameter=PARAMETER,
        )
    total = seconds @ np.concatenate([each.voices for each in seen])
    return np.asarray(total / np.linalg.norm(total), np.float32)
