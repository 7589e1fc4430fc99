"""Who speaks when. Times are in seconds of the file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from transcription.core.errors import InvalidParameter

LABEL_PREFIX = "SPEAKER_"  # as pyannote, WhisperX and their readers have it
REFERENCES = "known_speaker_references"  # the parameter with samples of people's voices
LONGEST_SAMPLE = 10.0  # seconds
LETTERS = ""  # a prefix for labels of letters alone, A, B, ..., as in OpenAI's API
MAX_SPEAKERS = 50  # that a request may name; a recording with more people is found to have this many


@dataclass(frozen=True, slots=True)
class Turn:
    """A stretch in which one person speaks. Turns of different people may overlap. speaker: number from 0 on."""

    start: float
    end: float
    speaker: int


@dataclass(frozen=True, slots=True)
class SpeakerTurns:
    """Who speaks when in a recording. turns: ordered by start. labels: of each speaker's number, in the order in which
    they first speak. duration: of the recording, seconds.
    """

    turns: tuple[Turn, ...]
    labels: Mapping[int, str]
    duration: float


@dataclass(frozen=True, slots=True)
class Speaker:
    """A person in a transcript. label: as in its words and segments.

    seconds: of speech. share: of the speech of all, 0..1; of overlapping speech, each speaker has all.
    """

    label: str
    seconds: float
    share: float


@dataclass(frozen=True, slots=True)
class KnownVoice:
    """A person whose voice is given. voice: of length 1, of `transcription.diarization.known.known_voice`."""

    name: str
    voice: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class SpeakerOptions:
    """What is known about who speaks.

    num_speakers: exactly so many. min_speakers, max_speakers: at least, at most. None: unknown. All in 1..MAX_SPEAKERS.
    known: people who may be among them, at most MAX_SPEAKERS; names differ.
    labels: what the labels of all others begin with, or LETTERS.

    Raises InvalidParameter on counts out of range or at odds, too many known speakers, and two of one name.
    """

    num_speakers: int | None = None
    min_speakers: int | None = None
    max_speakers: int | None = None
    known: tuple[KnownVoice, ...] = ()
    labels: str = LABEL_PREFIX

    def __post_init__(self) -> None:
        for name in ("num_speakers", "min_speakers", "max_speakers"):
            count = getattr(self, name)
            if count is not None and not 1 <= count <= MAX_SPEAKERS:
                raise InvalidParameter(f"{name} is {count}, but must be from 1 to {MAX_SPEAKERS}.", parameter=name)
        if self.num_speakers is not None and (self.min_speakers is not None or self.max_speakers is not None):
            raise InvalidParameter(
                "num_speakers is the exact number of speakers. Send it, or min_speakers and max_speakers, not both.",
                parameter="num_speakers",
            )
        if self.least > self.most:
            raise InvalidParameter(
                f"min_speakers ({self.least}) is more than max_speakers ({self.most}).", parameter="min_speakers"
            )
        if len(self.known) > MAX_SPEAKERS:
            raise InvalidParameter(
                f"{len(self.known)} speakers are named. Name at most {MAX_SPEAKERS}.", parameter="known_speaker_names"
            )
        if len({each.name for each in self.known}) < len(self.known):
            raise InvalidParameter("Two known speakers have the same name.", parameter="known_speaker_names")
        if label := next((each.name for each in self.known if self._is_label(each.name)), ""):
            raise InvalidParameter(
                f"'{label}' is the label of a speaker who is not known. Send another name.",
                parameter="known_speaker_names",
            )

    def _is_label(self, name: str) -> bool:
        """Whether a speaker who is not known may get this label."""
        if self.labels == LETTERS:
            return len(name) <= 2 and name.isascii() and name.isupper()
        return name.startswith(self.labels) and name.removeprefix(self.labels).isdigit()

    @property
    def least(self) -> int:
        """The smallest number of speakers that may be found, if the recording has speech."""
        return self.num_speakers or self.min_speakers or 1

    @property
    def most(self) -> int:
        """The largest number of speakers that may be found."""
        return self.num_speakers or self.max_speakers or MAX_SPEAKERS
