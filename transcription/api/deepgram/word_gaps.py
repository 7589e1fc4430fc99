"""When an utterance has ended by Deepgram's UtteranceEnd: so long without words after the last one. Decides only."""

from __future__ import annotations


class WordGaps:
    """Follows one session. Times are seconds of its audio. least_ms: length of the gap.

    By words, not by voices: a noise that is taken for a voice has no words, and does not put off the end.
    """

    def __init__(self, least_ms: int) -> None:
        self._least = least_ms / 1000
        self._last_word_end: float | None = None  # of the final words, while the gap after it has not been taken
        self._voices: dict[int, float] = {}  # where utterances begin whose words are not known yet
        self._newest = -1  # utterance that has started
        self._seconds = 0.0  # of audio in which all voices are known once utterance `_latest` has started
        self._latest = -1

    def start(self, utterance: int, voice: float) -> None:
        """An utterance has started. voice: where its voice begins."""
        self._newest = utterance
        self._voices[utterance] = voice

    def finish(self, utterance: int, last_word_end: float | None) -> None:
        """The words of an utterance are known. last_word_end: None without words."""
        self._voices.pop(utterance, None)
        if last_word_end is not None:
            self._last_word_end = last_word_end

    def listen(self, seconds: float, latest: int) -> None:
        """So much audio has been listened to. latest: newest utterance in it, whose `start` may be yet to come."""
        self._seconds, self._latest = seconds, latest

    def take(self) -> float | None:
        """The end of the last word if the gap after it is long enough, once; else None.

        While the words of an utterance are not known, the gap ends where its voice begins.
        """
        if self._last_word_end is None or self._newest < self._latest:
            return None
        end = min(self._voices.values(), default=self._seconds)
        if end - self._last_word_end < self._least:
            return None
        taken, self._last_word_end = self._last_word_end, None
        return taken
