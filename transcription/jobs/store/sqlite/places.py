"""What is ahead of a queued job in the order in which jobs begin.

A short queue is read. The jobs of a long one are counted in an index instead, because clients poll their places.
"""

from __future__ import annotations

import math
import sqlite3
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from transcription.jobs.job import NOTHING_AHEAD, Ahead
from transcription.jobs.store.sqlite import queries
from transcription.jobs.store.sqlite.steps import first_row, only_row

EXACT = 500  # queued jobs; if there are more, those that share the work of an older one count as well
SUMMED = 500  # jobs whose seconds are added up; of more, about as many of them
SHARES = 65_536  # equal parts of a queue; a sample is some of them


@dataclass(frozen=True, slots=True)
class _Line:
    """The queued jobs of a caller. processing: the numbers of its jobs in progress, sorted. first: of its queued ones.

    served: its last turn.
    """

    caller: str
    queued: int
    processing: Sequence[int]
    served: int
    first: int

    @property
    def turn(self) -> tuple[int, int, int]:
        """Smaller than that of another caller that has as many jobs in progress by then and its turn later."""
        return -len(self.processing), self.served, self.first


def ahead_of(db: sqlite3.Connection, work: str) -> Ahead:
    """What is ahead of the queued job of this work, of several the oldest one."""
    processing = defaultdict(list)
    for row in db.execute(queries.PROCESSING).fetchall():
        processing[row["caller"]].append(row["number"])
    counted = db.execute(queries.COUNT_OF_CALLERS).fetchall()
    if sum(row["jobs"] for row in counted) - sum(map(len, processing.values())) <= EXACT:
        row = only_row(db, queries.AHEAD, {"work": work})
        return Ahead(row["jobs"], row["seconds"], row["unknown"])
    lines = [_line(db, row, sorted(processing[row["caller"]])) for row in counted]
    head = first_row(db, queries.HEAD_OF_WORK, {"work": work})
    if head is None:
        return NOTHING_AHEAD
    own = next(line for line in lines if line.caller == head["caller"])
    older = only_row(db, queries.COUNT_OLDER, dict(head))["jobs"] - bisect_left(own.processing, head["number"])
    level = len(own.processing) + older + 1
    return _left(db, [(line, _front(line, own, level)) for line in lines])


def _line(db: sqlite3.Connection, counted: sqlite3.Row, processing: Sequence[int]) -> _Line:
    first = first_row(db, queries.FIRST_QUEUED, {"caller": counted["caller"]})
    queued = counted["jobs"] - len(processing)
    return _Line(counted["caller"], queued, processing, counted["served"], first["number"] if first else 0)


def _front(line: _Line, own: _Line, level: int) -> int:
    """The number of jobs of a line that begin before the one that is the caller `own`'s job in progress no. `level`."""
    same_level = int(line.turn < own.turn)
    return max(0, min(line.queued, level - len(line.processing) - 1 + same_level))


def _left(db: sqlite3.Connection, fronts: Sequence[tuple[_Line, int]]) -> Ahead:
    """The jobs at these fronts and those in progress: the sum of what is left of them, or an estimate from a sample."""
    jobs = sum(count for _, count in fronts)
    share = min(SHARES, math.ceil(SHARES * SUMMED / max(1, jobs)))
    sampled, seconds, unknown = 0, 0.0, 0.0
    for line, count in fronts:
        if count:
            values = {"caller": line.caller, "last": _number_of(db, line, count), "share": share}
            row = only_row(db, queries.LEFT_OF_SAMPLE, values)
            sampled, seconds, unknown = sampled + row["jobs"], seconds + row["seconds"], unknown + row["unknown"]
    scale = jobs / max(1, sampled)
    processing = only_row(db, queries.LEFT_OF_PROCESSING, {})
    return Ahead(jobs, seconds * scale + processing["seconds"], round(unknown * scale) + processing["unknown"])


def _number_of(db: sqlite3.Connection, line: _Line, place: int) -> int:
    """The number of the queued job at a place of a line, from 1."""
    older = 0
    while True:
        number: int = only_row(db, queries.NUMBER_AT, {"caller": line.caller, "place": place - 1 + older})["number"]
        found = bisect_left(line.processing, number + 1)  # jobs in progress are in the index, too
        if found == older:
            return number
        older = found
