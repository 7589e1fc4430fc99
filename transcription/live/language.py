"""The language of a session: detected until it is certain, then kept. Decides only."""

from __future__ import annotations

from transcription.core.languages import CERTAIN, DOUBTFUL
from transcription.core.options import DecodeOptions

LEAST_SECONDS = 2.0  # of audio, to keep its language: of a syllable or two, the model is often sure and wrong


class LanguageLock:
    """The language of the utterances that began with the same choice of it.

    language: of the next decode; None to detect it.
    """

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


def same_detection(one: DecodeOptions, other: DecodeOptions) -> bool:
    """Whether what was detected with some options holds for others: not with other candidates, or another model."""
    return (one.language, one.languages, one.model) == (other.language, other.languages, other.model)
