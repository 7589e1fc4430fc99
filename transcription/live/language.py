"""The language of a session: detected until it is certain, then kept. Decides only."""

from __future__ import annotations

from transcription.core.languages import CERTAIN, DOUBTFUL
from transcription.core.options import DecodeOptions

LEAST_SECONDS = 2.0  # of audio, to keep its language: of a syllable or two, the model is often sure and wrong


class LanguageLock:
    """language: of the next decode; None to detect it."""

    def __init__(self, options: DecodeOptions) -> None:
        self.language = options.language

    def learn(self, language: str, probability: float, seconds: float, *, last: bool) -> bool:
        """Take what a decode detected. Returns whether the language is certain enough to confirm words in it.

        seconds: of its audio. last: it is the decode of a whole utterance.
        """
        if self.language:
            return True
        sure = probability >= CERTAIN or (last and probability >= DOUBTFUL)
        if sure and seconds >= LEAST_SECONDS:
            self.language = language
        return probability >= DOUBTFUL
