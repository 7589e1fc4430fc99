"""From audio to utterances: where they start and end, and the audio that they still need."""

from __future__ import annotations

from collections.abc import Sequence

from transcription.core.audio import SAMPLE_RATE
from transcription.live.audio import AudioBuffer, Samples
from transcription.live.language import LanguageLock, same_detection
from transcription.live.options import MOST_PADDING_MS, LiveOptions
from transcription.live.turns import Started, Turn, Turns
from transcription.live.utterance import Utterance
from transcription.media.voice_activity import CHUNK_SAMPLES

# Of the silence after an utterance, decoded with it. The last decode can begin once it has been heard.
TAIL_SAMPLES = SAMPLE_RATE * 2 // 10
KEPT_SAMPLES = (MOST_PADDING_MS * SAMPLE_RATE // 1000) + SAMPLE_RATE // 2  # between two utterances


class Listening:
    """The utterances of one session. The probabilities of speech come from outside.

    current: the utterance that is being spoken. voice_end: the sample after the last chunk with a voice.
    """

    def __init__(self, options: LiveOptions) -> None:
        self.options = options
        self.audio = AudioBuffer()
        self.current: Utterance | None = None
        self.voice_end = 0
        self._lock = LanguageLock(options.decode)
        self._turns = Turns(options.turn_detection) if options.turn_detection else None
        self._number = 0  # of the current utterance, or else of the next
        self._last_end = 0  # sample at which the utterance before ended

    @property
    def likely_end(self) -> int | None:
        """Where the audio of the current utterance ends if this pause ends it; None while its voice is heard."""
        silent = self._turns.silent if self.current and self._turns else 0
        return self.audio.heard - silent + TAIL_SAMPLES if silent >= TAIL_SAMPLES else None

    def update(self, options: LiveOptions) -> None:
        """Change the options, from the next utterance on. An utterance without a voice so far takes them at once.

        One that the client was to end is ended by the next pause if it is now for the service to find the turns.
        """
        # One that a voice has started is known to the client, even if its newest part is a pause.
        if self.current and not (self._turns or self.current.confirmed or self._has_voice(self.current)):
            self.current = None
        changed = options.turn_detection != self.options.turn_detection
        if not same_detection(options.decode, self.options.decode):
            self._lock = LanguageLock(options.decode)  # the utterance that is being spoken keeps its own
        self.options = options
        speaking = self.current is not None
        if changed and not (self.current and self.current.options.turn_detection):
            self._turns = Turns(options.turn_detection, speaking=speaking) if options.turn_detection else None

    def append(self, samples: Samples) -> Samples:
        """Take audio. Returns the chunks whose probabilities are wanted, for `hear`."""
        if not self._turns and not self.current:
            self._open(max(self._last_end, self.audio.end))
        return self.audio.append(samples)

    def hear(self, probabilities: Sequence[float]) -> list[Turn]:
        """Take the probabilities of the chunks. Returns what starts and ends in them; call `turn` for each."""
        position = self.audio.heard
        self.audio.add_probabilities(probabilities)
        threshold = (self.current.options if self.current else self.options).threshold
        for index, probability in enumerate(probabilities, start=1):
            if probability >= threshold:
                self.voice_end = position + index * CHUNK_SAMPLES
        return self._turns.add(position, probabilities) if self._turns else []

    def start(self, turn: Started) -> Utterance:
        """Start an utterance."""
        return self._open(max(turn.at, self._last_end, self.audio.start))

    def end(self, at: int) -> tuple[Utterance, int]:
        """End the current utterance, whose voice ends at a sample. Returns it, with the end of its audio."""
        utterance = self.current
        assert utterance is not None
        self.current = None
        self._last_end = min(self.audio.end, at + TAIL_SAMPLES)
        self._number += 1
        self._stop()
        return utterance, self._last_end

    def clear(self) -> int:
        """Forget the current utterance, if there is one, and its audio. Returns its number, which is not used again."""
        number = self._number
        self._number += self.current is not None
        self.current = None
        self._last_end = self.audio.end
        self._stop()
        return number

    def let_go(self) -> None:
        """Forget audio that is no longer needed."""
        current = self.current
        if current and not current.tentative and not self._has_voice(current):
            # A pause inside the utterance: kept as padding alone.
            current.base = max(current.base, self.audio.heard - KEPT_SAMPLES)
        self.audio.drop_before(current.base if current else self.audio.end - KEPT_SAMPLES)

    def _open(self, start: int) -> Utterance:
        self.current = Utterance(self._number, start, self.options, self._lock)
        return self.current

    def _stop(self) -> None:
        """After an utterance: its options may have been changed meanwhile."""
        detection = self.options.turn_detection
        self._turns = Turns(detection) if detection else None

    def _has_voice(self, utterance: Utterance) -> bool:
        return self.audio.voiced(utterance.base, self.audio.heard, utterance.options.threshold)
