"""Which words of a hypothesis are confirmed. Decides only; `docs/decisions/0056-live-engine.md` has the measurements.

Every tick decodes the newest audio again. Its words are a hypothesis: near the end of the audio they change, because
words are cut off there and the model lacks what follows; further back they rarely do. A word is confirmed as soon as

- two successive hypotheses have it in the same place (local agreement; Liu, Niehues, Spanakis: "Low-latency
  sequence-to-sequence speech recognition and translation by partial hypothesis selection", Interspeech 2020), or
- the model is sure of it and it ends well before the audio does, or
- it ends LATEST_SECONDS before the audio does.

Only words from the first on, without a gap, are confirmed.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import takewhile

from transcription.core.transcript import Word

MARGIN_SECONDS = 0.3  # between the end of a word that is confirmed by itself and the end of the audio,
SURE = 0.7  # if its probability is at least this
LATEST_SECONDS = 3.0
# In the comparison of what was confirmed with a new hypothesis, a second between two words counts as this many words
# that differ: repeated words have several places, and the time tells which.
WORDS_PER_SECOND = 0.5
MOST_SECONDS = 4.0  # beyond which a difference in time does not count for more


def confirmable(words: Sequence[Word], before: Sequence[Word], end: float) -> int:
    """How many of the words are confirmed, from the first on.

    words: of the hypothesis, after everything that is confirmed. before: those of the hypothesis before it. end: of
    the audio, seconds.
    """
    agreed = _agreed(words, before)
    sure = sum(1 for _ in takewhile(lambda word: _is_sure(word, end), words[agreed:]))
    late = max((index + 1 for index, word in enumerate(words) if word.end <= end - LATEST_SECONDS), default=0)
    return max(agreed + sure, late)


def after_confirmed(hypothesis: Sequence[Word], confirmed: Sequence[Word]) -> Sequence[Word]:
    """The words of a hypothesis that follow what is confirmed.

    confirmed: the confirmed words in the audio of the hypothesis, which may have others in their place by now.
    """
    if not confirmed:
        return hypothesis
    costs = _distances([key(word.text) for word in confirmed], [key(word.text) for word in hypothesis])
    end = confirmed[-1].end

    def cost(count: int) -> float:
        at = hypothesis[count - 1].end if count else 0.0
        return costs[count] + WORDS_PER_SECOND * min(abs(at - end), MOST_SECONDS)

    best = min(range(len(hypothesis) + 1), key=cost)
    return hypothesis[best:]


def key(text: str) -> str:
    """What of a word counts when two are compared: no case, no punctuation, unless it is nothing else."""
    letters = "".join(character for character in text.casefold() if character.isalnum())
    return letters or text.strip()


def _agreed(words: Sequence[Word], before: Sequence[Word]) -> int:
    pairs = zip(words, before, strict=False)
    return sum(1 for _ in takewhile(lambda pair: key(pair[0].text) == key(pair[1].text), pairs))


def _is_sure(word: Word, end: float) -> bool:
    return word.probability >= SURE and word.end <= end - MARGIN_SECONDS


def _distances(wanted: Sequence[str], given: Sequence[str]) -> list[int]:
    """The edit distance between `wanted` and the first n of `given`, for each n from 0 on."""
    row = list(range(len(given) + 1))
    for count, word in enumerate(wanted, start=1):
        above, row = row, [count]
        for index, other in enumerate(given, start=1):
            row.append(min(above[index] + 1, row[-1] + 1, above[index - 1] + (word != other)))
    return row
