"""Breaks a text into cues and lines: of all ways within the limits, the one with the lowest cost."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

from formats.subtitles.phrases import Ending, Glue, Piece, ending, glue, joined, width

PAUSE_SECONDS = 0.4  # the shortest silence that is heard as a break
MIN_READABLE_SECONDS = 1.0  # a shorter cue is hard to read
CUE_COST = 3.0  # of each cue, to keep their number low
SHORT_COST = 2.0  # of a cue shorter than MIN_READABLE_SECONDS
SLACK_COST = 4.0  # of a cue that uses nothing of its limits
END_COST = {Ending.SENTENCE: 0.0, Ending.CLAUSE: 1.5, Ending.WORD: 6.0, Ending.LEADING_WORD: 8.0}
PAUSE_COST = 2.0  # of ending a cue at a pause within a clause
LINE_END_COST = {Ending.SENTENCE: 0.0, Ending.CLAUSE: 0.05, Ending.WORD: 0.15, Ending.LEADING_WORD: 0.4}


@dataclass(frozen=True, slots=True)
class TimedPiece:
    """A piece of text with its times in milliseconds, start <= end."""

    piece: Piece
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of a cue; None is no limit.

    lines: per cue. width: characters per line. words: per line. duration: of the cue, milliseconds.
    """

    lines: int = 1
    width: int | None = None
    words: int | None = None
    duration: int | None = None


Line = tuple[TimedPiece, ...]


def break_into_cues(parts: Sequence[TimedPiece], limits: Limits) -> list[tuple[Line, ...]]:
    """The text of one segment as cues of one or more lines. No text is lost.

    Only a single piece that is larger than a limit may exceed it.
    """
    if not parts:
        return []
    return _Breaker(tuple(parts), limits).cues()


def blocks(parts: Sequence[TimedPiece], limits: Limits) -> list[Line]:
    """Groups of parts that stay on one line: those that are glued, unless the group exceeds a limit."""
    joints = [
        glue(before.piece.text, after.piece.text) if after.piece.spaced else Glue.NONE
        for before, after in pairwise(parts)
    ]
    return list(_groups(tuple(parts), joints, limits, Glue.NONE))


def _groups(parts: Line, joints: Sequence[Glue], limits: Limits, given_up: Glue) -> Iterator[Line]:
    begin = 0
    for place in range(1, len(parts) + 1):
        if place < len(parts) and joints[place - 1] > given_up:
            continue
        group = parts[begin:place]
        if len(group) > 1 and not _fits(group, limits):
            yield from _groups(group, joints[begin : place - 1], limits, Glue(given_up + 1))
        else:
            yield group
        begin = place


def _fits(line: Line, limits: Limits) -> bool:
    """Whether the parts fit on the only line of a cue."""
    return (
        (limits.width is None or width(joined([part.piece for part in line])) <= limits.width)
        and (limits.words is None or len(line) <= limits.words)
        and (limits.duration is None or line[-1].end - line[0].start <= limits.duration)
    )


class _Breaker:
    """Breaks one segment. begin, end: indices of its blocks, end exclusive."""

    def __init__(self, parts: Line, limits: Limits) -> None:
        self._limits = limits
        self._blocks = blocks(parts, limits)
        texts = [[part.piece for part in block] for block in self._blocks]
        spaces = [int(pieces[0].spaced) for pieces in texts]
        widths = [width(joined(pieces)) for pieces in texts]
        self._spaces = spaces
        self._width = [0, *accumulate(space + own for space, own in zip(spaces, widths, strict=True))]
        self._words = [0, *accumulate(len(block) for block in self._blocks)]
        firsts = [pieces[0].text for pieces in texts[1:]]
        self._endings = [
            ending(pieces[-1].text, following) for pieces, following in zip(texts, [*firsts, None], strict=True)
        ]

    def cues(self) -> list[tuple[Line, ...]]:
        """The cues with the lowest total cost, by dynamic programming."""
        count = len(self._blocks)
        if self._end_of_lines(0, self._limits.lines) == count and not self._lasts_too_long(0, count):
            return [self._lines(0, count)]
        costs = [0.0] + [float("inf")] * count
        origins = [0] * (count + 1)
        for begin in range(count):
            last = self._end_of_lines(begin, self._limits.lines)
            for end in range(begin + 1, last + 1):
                if end > begin + 1 and self._lasts_too_long(begin, end):
                    break
                cost = costs[begin] + self._cost(begin, end)
                if cost < costs[end]:
                    costs[end], origins[end] = cost, begin
        ends = [count]
        while ends[-1]:
            ends.append(origins[ends[-1]])
        return [self._lines(begin, end) for begin, end in pairwise(reversed(ends))]

    def _line_width(self, begin: int, end: int) -> int:
        return self._width[end] - self._width[begin] - self._spaces[begin]

    def _overflows(self, begin: int, end: int) -> bool:
        """Whether several blocks exceed the limits of a line. A single block never does."""
        limits = self._limits
        return end > begin + 1 and (
            (limits.width is not None and self._line_width(begin, end) > limits.width)
            or (limits.words is not None and self._words[end] - self._words[begin] > limits.words)
        )

    def _end_of_lines(self, begin: int, lines: int) -> int:
        """The index after the last block that fits on this many lines."""
        end = begin
        for _ in range(lines):
            start = end
            while end < len(self._blocks) and not self._overflows(start, end + 1):
                end += 1
        return end

    def _lasts_too_long(self, begin: int, end: int) -> bool:
        return self._limits.duration is not None and self._duration(begin, end) > self._limits.duration

    def _duration(self, begin: int, end: int) -> int:
        return self._blocks[end - 1][-1].end - self._blocks[begin][0].start

    def _cost(self, begin: int, end: int) -> float:
        """The cost of a cue of these blocks."""
        is_short = self._duration(begin, end) < MIN_READABLE_SECONDS * 1000
        slack = max(0.0, 1.0 - self._fullness(begin, end))
        return CUE_COST + self._end_cost(end) + SHORT_COST * is_short + SLACK_COST * slack**2

    def _end_cost(self, end: int) -> float:
        cost = END_COST[self._endings[end - 1]]
        if end == len(self._blocks):
            return 0.0
        pause = self._blocks[end][0].start - self._blocks[end - 1][-1].end
        return min(cost, PAUSE_COST) if pause >= PAUSE_SECONDS * 1000 else cost

    def _fullness(self, begin: int, end: int) -> float:
        """The share of the tightest limit that is used, 0..1."""
        limits, shares = self._limits, [0.0]
        if limits.width:
            shares.append(self._line_width(begin, end) / (limits.width * limits.lines))
        if limits.words:
            shares.append((self._words[end] - self._words[begin]) / (limits.words * limits.lines))
        if limits.duration:
            shares.append(self._duration(begin, end) / limits.duration)
        return max(shares)

    def _lines(self, begin: int, end: int) -> tuple[Line, ...]:
        """The blocks of one cue on as few lines as possible, of widths as even as possible."""
        count = 1
        while self._end_of_lines(begin, count) < end:
            count += 1
        even = self._line_width(begin, end) / count or 1.0
        best: dict[int, tuple[float, tuple[int, ...]]] = {begin: (0.0, (begin,))}
        for _ in range(count):
            best = self._one_more_line(best, end, even)
        _, borders = best[end]
        return tuple(
            tuple(part for block in self._blocks[first:last] for part in block) for first, last in pairwise(borders)
        )

    def _one_more_line(
        self, best: dict[int, tuple[float, tuple[int, ...]]], end: int, even: float
    ) -> dict[int, tuple[float, tuple[int, ...]]]:
        longer: dict[int, tuple[float, tuple[int, ...]]] = {}
        for start, (cost, borders) in best.items():
            for place in range(start + 1, end + 1):
                if self._overflows(start, place):
                    break
                unevenness = (self._line_width(start, place) / even - 1.0) ** 2
                total = cost + unevenness + (LINE_END_COST[self._endings[place - 1]] if place < end else 0.0)
                if place not in longer or total < longer[place][0]:
                    longer[place] = (total, (*borders, place))
        return longer
