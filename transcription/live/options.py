"""Options of a live session."""

from __future__ import annotations

from dataclasses import dataclass, field

from transcription.core.options import VAD_THRESHOLD, DecodeOptions, HallucinationPolicy
from transcription.core.speakers import SpeakerOptions

PREFIX_PADDING_MS = 300  # as in OpenAI's Realtime API
SILENCE_MS = 500  # as there
MOST_PADDING_MS = 2000


@dataclass(frozen=True, slots=True)
class TurnDetection:
    """Utterances start and end where a voice does.

    threshold: speech probability from which a chunk of 32 ms counts as speech, 0..1.
    prefix_padding_ms: audio before the voice that belongs to the utterance, 0..2000 milliseconds.
    silence_ms: length of a pause that ends the utterance, 200..10,000 milliseconds.
    """

    threshold: float = VAD_THRESHOLD
    prefix_padding_ms: int = PREFIX_PADDING_MS
    silence_ms: int = SILENCE_MS


@dataclass(frozen=True, slots=True)
class LiveOptions:
    """What a session does with its audio.

    decode: language None to detect it in the first utterances, and keep it once it is certain.
    turn_detection: None if the client ends utterances itself, with `commit`.
    words: final events have words with times. Partial events always have them.
    speakers: tell them apart in final events; None not to. Of its fields, `max_speakers` and `labels` count.
    """

    decode: DecodeOptions
    turn_detection: TurnDetection | None = field(default_factory=TurnDetection)
    words: bool = False
    hallucinations: HallucinationPolicy = HallucinationPolicy.DROP
    speakers: SpeakerOptions | None = None

    @property
    def threshold(self) -> float:
        """The speech probability from which a chunk of 32 ms counts as speech, 0..1."""
        return self.turn_detection.threshold if self.turn_detection else VAD_THRESHOLD
