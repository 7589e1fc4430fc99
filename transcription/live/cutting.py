"""Where the audio of an utterance is cut, once the words before are confirmed. Decides only."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest

from transcription.core.text import CLAUSE_ENDS, SENTENCE_ENDS
from transcription.core.transcript import Word
from transcription.live.agreement import LATEST_SECONDS

SHORT_SECONDS = 8.0  # shorter audio is not cut: context, without which words are lost
LONG_SECONDS = 10.0  # longer audio is cut between any two confirmed words, shorter one after a sentence
FULL_SECONDS = 11.0  # audio that has to be cut now
WINDOW_SECONDS = 12.0  # longest audio of one decode
LEAST_SECONDS = 2.0  # between two cuts
SENTENCE_BONUS = 1.0  # seconds of pause that the end of a sentence is worth
CLAUSE_BONUS = 0.3


def cut_time(start: float, end: float, confirmed: Sequence[Word], tentative: Sequence[Word]) -> float | None:
    """The time at which the audio is cut; None if it stays as it is.

    start, end: of the audio, seconds. confirmed: the confirmed words in it. tentative: the words after them. The time
    is in the pause after a confirmed word.
    """
    if end - start <= SHORT_SECONDS:
        return None
    best: tuple[float, float] | None = None
    following = [*confirmed[1:], *tentative[:1]]
    for word, after in zip_longest(confirmed, following):
        if word is None or word.end - start < LEAST_SECONDS:
            continue
        # After the last word of the hypothesis there may be one that is not complete yet.
        pause = max(0.0, after.start - word.end) if after else 0.0
        is_sentence = word.text.rstrip().endswith(SENTENCE_ENDS)
        if not is_sentence and end - start <= LONG_SECONDS:
            continue
        bonus = SENTENCE_BONUS if is_sentence else CLAUSE_BONUS if word.text.rstrip().endswith(CLAUSE_ENDS) else 0.0
        worth = pause + bonus
        if best is None or worth >= best[0]:
            best = (worth, word.end + pause / 2)
    if best:
        return best[1]
    # Words that end before are confirmed by now; there are hardly any.
    return end - LATEST_SECONDS if end - start >= FULL_SECONDS else None
