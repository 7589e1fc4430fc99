"""Which words of a text are those of another one: the longest common subsequence, in bits of integers.

The algorithm is H. Hyyrö, "Bit-Parallel LCS-length Computation Revisited" (2004). It takes one operation on an integer
of `len(before)` bits for each word of `after`, whatever the words are; difflib can take the square of that.
"""

from __future__ import annotations

from collections.abc import Sequence


def common_words(before: Sequence[str], after: Sequence[str]) -> list[tuple[int, int]]:
    """Pairs of indices in `before` and in `after` of equal words, ascending in both; as many as possible."""
    places: dict[str, int] = {}
    for place, word in enumerate(before):
        places[word] = places.get(word, 0) | 1 << place
    everything = (1 << len(before)) - 1
    row = everything
    rows = []
    for word in after:
        matches = row & places.get(word, 0)
        row = ((row + matches) | (row - matches)) & everything
        rows.append(row)
    return _traced(rows, len(before))


def _traced(rows: Sequence[int], column: int) -> list[tuple[int, int]]:
    """The pairs, from the rows: a bit of row n is 0 where one more word is common to that prefix of `before`."""
    pairs = []
    line = len(rows)
    while line and column:
        if rows[line - 1] >> (column - 1) & 1:
            column -= 1
        elif line > 1 and not rows[line - 2] >> (column - 1) & 1:
            line -= 1
        else:
            line, column = line - 1, column - 1
            pairs.append((column, line))
    return pairs[::-1]
