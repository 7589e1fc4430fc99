"""Where a text is broken into cues and lines: the cheapest way of all that keep the limits."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

from formats.subtitles.phrases import Ending, Glue, Piece, ending, glue, joined, width

PAUSE_SECONDS = 0.4  # a silence at least this long is heard as a break
ENOUGH_SECONDS = 1.0  # a shorter cue is hard to read
CUE_COST = 3.0  # of every cue, so that there are few
SHORT_COST = 2.0  # of a cue that flashes by
SLACK_COST = 4.0  # of a cue that is nearly empty beside full ones
END_COST = {Ending.SENTENCE: 0.0, Ending.CLAUSE: 1.5, Ending.WORD: 6.0, Ending.LEADING_WORD: 8.0}
PAUSE_COST = 2.0  # of ending at a pause in the middle of a clause
LINE_END_COST = {Ending.SENTENCE: 0.0, Ending.CLAUSE: 0.05, Ending.WORD: 0.15, Ending.LEADING_WORD: 0.4}


@dataclass(frozen=True, slots=True)
class Timed:
    """A piece of text and when it is said, milliseconds, start <= end."""

    piece: Piece
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Limits:
    """What a cue may hold at most; None is no limit. width: characters. words: in a line. duration: milliseconds."""

    lines: int = 1
    width: int | None = None
    words: int | None = None
    duration: int | None = None


Line = tuple[Timed, ...]


def broken(parts: Sequence[Timed], limits: Limits) -> list[tuple[Line, ...]]:
    """The text of one segment as cues, each of one line or more. Nothing is left out.

    A limit gives way only to a single piece that exceeds it.
    """
    if not parts:
        return []
    return _Breaker(tuple(parts), limits).cues()


def blocks(parts: Sequence[Timed], limits: Limits) -> list[Line]:
    """The parts in groups that stay on one line: glued ones, unless they exceed a limit together."""
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
    """Whether parts fit on one line of a cue of their own."""
    return (
        (limits.width is None or width(joined([part.piece for part in line])) <= limits.width)
        and (limits.words is None or len(line) <= limits.words)
        and (limits.duration is None or line[-1].end - line[0].start <= limits.duration)
    )


class _Breaker:
    """One segment. Indices are those of blocks."""

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
        """The cheapest cues, by dynamic programming from the front."""
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
        """Whether several blocks are too much for a line."""
        limits = self._limits
        return end > begin + 1 and (
            (limits.width is not None and self._line_width(begin, end) > limits.width)
            or (limits.words is not None and self._words[end] - self._words[begin] > limits.words)
        )

    def _end_of_lines(self, begin: int, lines: int) -> int:
        """Behind the last block that fits into so many lines."""
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
        """Of a cue that holds these blocks."""
        is_short = self._duration(begin, end) < ENOUGH_SECONDS * 1000
        slack = max(0.0, 1.0 - self._fullness(begin, end))
        return CUE_COST + self._end_cost(end) + SHORT_COST * is_short + SLACK_COST * slack**2

    def _end_cost(self, end: int) -> float:
        cost = END_COST[self._endings[end - 1]]
        if end == len(self._blocks):
            return 0.0
        pause = self._blocks[end][0].start - self._blocks[end - 1][-1].end
        return min(cost, PAUSE_COST) if pause >= PAUSE_SECONDS * 1000 else cost

    def _fullness(self, begin: int, end: int) -> float:
        """Share of the tightest limit that is used."""
        limits, shares = self._limits, [0.0]
        if limits.width:
            shares.append(self._line_width(begin, end) / (limits.width * limits.lines))
        if limits.words:
            shares.append((self._words[end] - self._words[begin]) / (limits.words * limits.lines))
        if limits.duration:
            shares.append(self._duration(begin, end) / limits.duration)
        return max(shares)

    def _lines(self, begin: int, end: int) -> tuple[Line, ...]:
        """Blocks of one cue in as few lines as they need, the most even ones."""
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
