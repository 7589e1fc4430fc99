"""People whose voices are given: from a sample to a voice, and from voices to names for those who are found."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from transcription.core.audio import SAMPLE_RATE
from transcription.core.errors import InvalidParameter
from transcription.core.speakers import LONGEST_SAMPLE, REFERENCES, KnownVoice
from transcription.diarization.observations import VOICE_NUMBERS, observe
from transcription.diarization.sessions import SpeakerModels
from transcription.diarization.windows import WindowCutter

SHORTEST_SAMPLE = 2.0  # seconds
LEAST_SPEECH = 1.0  # seconds of one person alone in a sample
ALIKE = 0.65  # cosine similarity of a sample and the voice in a recording from which they are one person
VOICE_DIGITS = 6  # of each number of a voice; single precision has no more


def names_of(people: NDArray[np.float32], known: Sequence[KnownVoice]) -> list[str | None]:
    """A name for each voice in `people`, shape (n, 192), None for unknown ones; no name twice.

    The most similar pair comes first.
    """
    found: list[str | None] = [None] * len(people)
    voices = np.reshape([each.voice for each in known], (-1, VOICE_NUMBERS)).astype(np.float32)
    similar = people @ voices.T
    while similar.size and similar.max() >= ALIKE:
        person, best = np.unravel_index(int(similar.argmax()), similar.shape)
        found[int(person)] = known[int(best)].name
        similar[person], similar[:, best] = -1.0, -1.0
    return found


def known_voice(name: str, samples: NDArray[np.int16], models: SpeakerModels) -> KnownVoice:
    """The voice in a sample. samples: shape (n,), 16 kHz mono; 2 to 10 s in which no one else speaks.

    Raises InvalidParameter on a sample of the wrong length or with too little speech.
    """
    length = len(samples) / SAMPLE_RATE
    if not SHORTEST_SAMPLE <= length <= LONGEST_SAMPLE:
        long = f"longer than {LONGEST_SAMPLE:g} s" if length > LONGEST_SAMPLE else f"{length:.1f} s long"
        raise InvalidParameter(
            f"The sample of '{name}' is {long}. Send {SHORTEST_SAMPLE:g} to {LONGEST_SAMPLE:g} s of this person alone.",
            parameter=REFERENCES,
        )
    cutter = WindowCutter()
    seen = [observe(window, models) for window in (*cutter.feed(samples), *cutter.finish())]
    seconds = np.concatenate([each.seconds * each.voices.any(axis=1) for each in seen])
    if seconds.sum() < LEAST_SPEECH:
        raise InvalidParameter(
            f"The sample of '{name}' has {seconds.sum():.1f} s of speech. Send at least {LEAST_SPEECH:g} s of "
            "this person alone.",
            parameter=REFERENCES,
        )
    total = seconds @ np.concatenate([each.voices for each in seen])
    voice = total / np.linalg.norm(total)
    return KnownVoice(name, tuple(round(number, VOICE_DIGITS) for number in voice.tolist()))
