"""The text of one utterance as it grows: confirmed words, tentative words, and the audio that is still needed.

Holds no audio and calls nothing: hypotheses go in, events come out.
"""

from __future__ import annotations

from collections.abc import Sequence

from transcription.core.audio import SAMPLE_RATE
from transcription.core.errors import TranscriptionError
from transcription.core.languages import UNDETERMINED
from transcription.core.transcript import Segment, Word
from transcription.live.agreement import after_confirmed, confirmable
from transcription.live.cutting import FULL_SECONDS, cut_time
from transcription.live.events import Final, Partial
from transcription.live.language import LanguageLock
from transcription.live.options import LiveOptions
from transcription.live.segments import SpokenWord, segments_of, words_in

PAUSE_SAMPLES = SAMPLE_RATE * 3 // 10  # of a pause that stay, as padding of what follows
OVERLAP_SECONDS = 0.3  # by which a word may be heard again after a cut


class Utterance:
    """One utterance of a session. start: its first sample; base: the first that has not been cut off.

    options: those of the session when it began. lock: the language of its decodes, shared with other utterances.
    """

    def __init__(self, number: int, start: int, options: LiveOptions, lock: LanguageLock) -> None:
        self.number = number
        self.start = start
        self.base = start
        self.options = options
        self.lock = lock
        self.fruitless = 0  # decodes in a row of audio that has to be cut, without words
        self.language = UNDETERMINED  # of the newest decode
        self.decoding = 0.0  # seconds that its decodes have taken, with their time in the queue
        self.error: TranscriptionError | None = None  # why some of the audio could not be decoded
        self._confirmed: list[SpokenWord] = []
        self._tentative: list[SpokenWord] = []

    @property
    def confirmed(self) -> str:
        """The confirmed text."""
        return _text(self._confirmed).lstrip()

    @property
    def tentative(self) -> str:
        """The text of the newest hypothesis after the confirmed text."""
        return self._after(_text(self._tentative))

    def hear(
        self,
        segments: Sequence[Segment],
        start: int,
        end: int,
        *,
        certain: bool,
        complete: bool = False,
        cuts: bool = True,
    ) -> Partial | None:
        """Take a hypothesis. None if it changes nothing.

        segments: with words, with times in the session. start, end: of the audio, samples; what is before `base` may
        have been cut off meanwhile. certain: its language is. complete: the audio ends with a pause, so that no word is
        cut off. cuts: whether `base` may move.
        """
        spoken = self._new(segments, start)
        words = [each.word for each in spoken]
        if not words and self._tentative and not complete:
            return None  # a doubtful decode; the next one is better
        if complete:
            count = len(words)
        elif certain or self._is_full(end):
            count = confirmable(words, [each.word for each in self._tentative], end / SAMPLE_RATE)
        else:
            count = 0
        partial = self._confirm(spoken[:count], spoken[count:])
        if cuts:
            self._cut(end, complete=complete)
        return partial

    def give_up(self, end: int, error: TranscriptionError) -> None:
        """Go on without the audio before sample `end`, which cannot be decoded; the utterance will have failed."""
        self.base, self.error, self._tentative, self.fruitless = end, error, [], 0

    def finish(self, segments: Sequence[Segment]) -> Partial | None:
        """Take the words of the last decode. What is confirmed stands; the rest follows it."""
        return self._confirm(self._new(segments, self.base), [])

    def settle(self) -> Partial | None:
        """Confirm the tentative text, because there will be no better one."""
        return self._confirm(self._tentative, [])

    def final(self, end: int) -> Final:
        """The result. end: of the utterance, sample."""
        text = self.confirmed.rstrip()
        return Final(
            self.number,
            text,
            tuple(each.word for each in self._confirmed) if self.options.words else (),
            segments_of(self._confirmed),
            self.language if text else UNDETERMINED,
            self.start / SAMPLE_RATE,
            end / SAMPLE_RATE,
            wants_words=self.options.words,
        )

    def real_time_factor(self, end: int) -> float:
        """Seconds of decoding per second of audio. end: of the utterance, sample."""
        return self.decoding * SAMPLE_RATE / max(1, end - self.start)

    def _new(self, segments: Sequence[Segment], start: int) -> list[SpokenWord]:
        """The words of a hypothesis that are not confirmed yet. start: of its audio, sample."""
        spoken = words_in(segments)
        # A word that begins before the cut and ends after it belongs to what was cut off.
        inside = [each.word for each in self._confirmed if each.word.end > start / SAMPLE_RATE]
        rest = after_confirmed([each.word for each in spoken], inside)
        new = spoken[len(spoken) - len(rest) :]
        return new[1:] if new and self._is_heard_again(new[0].word) else new

    def _is_heard_again(self, word: Word) -> bool:
        if not self._confirmed:
            return False
        last = self._confirmed[-1].word
        return word.text.strip() == last.text.strip() and word.start < last.end + OVERLAP_SECONDS

    def _confirm(self, confirmed: list[SpokenWord], tentative: list[SpokenWord]) -> Partial | None:
        before = self.tentative
        text = self._after(_text(confirmed))
        self._confirmed += confirmed
        self._tentative = tentative
        if not text and self.tentative == before:
            return None
        words = [each.word for each in (*confirmed, *tentative)]
        start = words[0].start if words else self.base / SAMPLE_RATE
        end = words[-1].end if words else start
        spoken = tuple(each.word for each in confirmed)
        return Partial(self.number, text, self.tentative, start, end, spoken, self.options.words)

    def _after(self, text: str) -> str:
        return text if self._confirmed else text.lstrip()

    def _is_full(self, end: int) -> bool:
        return end - self.base >= FULL_SECONDS * SAMPLE_RATE

    def _cut(self, end: int, *, complete: bool) -> None:
        if complete:
            self.base, self.fruitless = max(self.base, end - PAUSE_SAMPLES), 0
            return
        start = self.base / SAMPLE_RATE
        inside = [each.word for each in self._confirmed if each.word.end > start]
        at = cut_time(start, end / SAMPLE_RATE, inside, [each.word for each in self._tentative])
        if self._is_full(end) and not inside and not self._tentative and not self.fruitless:
            self.fruitless += 1  # decoded once more, thoroughly, before it is given up
            return
        self.fruitless = 0
        if at is not None:
            self.base = min(end, max(self.base, round(at * SAMPLE_RATE)))


def _text(spoken: Sequence[SpokenWord]) -> str:
    return "".join(each.word.text for each in spoken)
